import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/* RFC 9110 §14 and §15.5.17; OCI distribution-spec 1.1, "Pulling blobs". */

const system = await startSystem(t)
const jane = await system.createUser('jane', ['team'])
const client = createRegistryClient(system.url, basic(jane))
const blob = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251))
const digest = await client.pushBlob('team/app', blob)
const authorizations = [basic(jane), `Bearer ${await tokenFor(system, jane, 'repository:team/app:pull')}`]

/** Uses Node's own client, because fetch would not send every Range. */
async function get(range: string, { method = 'GET', more = {}, name = digest } = {}) {
  const responses = []
  for (const authorization of authorizations) {
    const { hostname, port } = new URL(system.plainUrl)
    const headers = { authorization, range, ...more }
    const outgoing = request({
      hostname,
      port,
      method,
      path: `/v2/team/app/blobs/${name}`,
      headers,
      agent: false,
    })
    const [incoming] = (await once(outgoing.end(), 'response')) as [IncomingMessage]
    const { statusCode: status, headers: received } = incoming
    responses.push({
      status,
      range: received['content-range'],
      headers: received,
      body: await buffer(incoming),
    })
  }
  return responses
}

for (const [range, start, end] of [
  ['bytes=0-5', 0, 5],
  ['BYTES=0-5', 0, 5],
  ['Bytes = 0-5', 0, 5],
  ['bytes=990-', 990, 999],
  ['bytes=-10', 990, 999],
  ['bytes=0-100000', 0, 999],
  ['bytes=-100000', 0, 999],
  ['bytes=-0,0-5', 0, 5],
] as const) {
  t.test(`Pulling blobs: Range: ${range} is 206 with bytes ${start} to ${end}`, async (t) => {
    for (const response of await get(range)) {
      t.match(response, { status: 206, range: `bytes ${start}-${end}/1000` })
      t.ok(response.body.equals(blob.subarray(start, end + 1)))
    }
  })
}

for (const range of ['items=0-5', 'bytesx=0-5', '0-5', 'seconds=-0', 'none']) {
  t.test(`Pulling blobs: Range: ${range} is ignored`, async (t) => {
    for (const response of await get(range)) {
      t.match(response, { status: 200, range: undefined })
      t.ok(response.body.equals(blob))
    }
  })
}

for (const range of [
  'bytes=-0',
  'bytes=-00',
  'BYTES=-0',
  'bytes=1000-',
  'bytes=1000-1001',
  'bytes=-0,2000-',
]) {
  t.test(`Pulling blobs: Range: ${range} is 416 with the length of the blob`, async (t) => {
    for (const response of await get(range)) {
      t.match(response, { status: 416, range: 'bytes */1000' })
      t.match(JSON.parse(response.body.toString()), { errors: [{ code: 'SIZE_INVALID' }] })
    }
  })
}

t.test('Pulling blobs: several ranges are returned as multipart/byteranges', async (t) => {
  for (const { status, headers, body } of await get('bytes=0-1,10-12')) {
    t.equal(status, 206)
    t.match(headers['content-type'], /^multipart\/byteranges; boundary=/)
    const text = body.toString('latin1')
    t.match(text, 'bytes 0-1/1000')
    t.match(text, 'bytes 10-12/1000')
  }
})

t.test('Pulling blobs: the Range of a HEAD request is ignored', async (t) => {
  for (const range of ['bytes=0-5', 'bytes=-0', 'items=0-5']) {
    for (const { status, headers } of await get(range, { method: 'HEAD' })) {
      t.match({ status, headers }, { status: 200, headers: { 'content-length': '1000' } }, range)
    }
  }
})

t.test('Pulling blobs: If-Range selects between the range and the whole blob', async (t) => {
  for (const { status } of await get('bytes=0-5', { more: { 'if-range': `"${digest}"` } }))
    t.equal(status, 206)
  for (const { status } of await get('bytes=0-5', { more: { 'if-range': '"another"' } })) t.equal(status, 200)
})

t.test('Pulling blobs: a range of an unknown blob is 404', async (t) => {
  const name = `sha256:${'0'.repeat(64)}`
  for (const range of ['bytes=0-5', 'bytes=-0']) {
    for (const { status } of await get(range, { name })) t.equal(status, 404)
  }
})

t.test('Pulling blobs: the response is only privately cacheable and forbids type sniffing', async (t) => {
  for (const { headers } of await get('bytes=0-5')) {
    t.match(headers, { 'cache-control': /private/, 'x-content-type-options': 'nosniff' })
  }
})
