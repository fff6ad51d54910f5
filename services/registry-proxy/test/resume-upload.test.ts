import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push')]
const authorization = bearer(access)
const uploads = '/v2/team/app/blobs/uploads/'

/** A state in distribution's format: a signature and the signed JSON. */
const stateOf = (offset: number) =>
  Buffer.concat([Buffer.alloc(32, offset), Buffer.from(JSON.stringify({ Offset: offset }))]).toString(
    'base64url',
  )
const respondAt = (status: number, offset: number) =>
  respondWith(status, {
    location: `${upstream.url}${uploads}u1?_state=${stateOf(offset)}`,
    range: `0-${Math.max(0, offset - 1)}`,
    'content-length': '0',
  })
const send = (method: string, target: string, headers: Record<string, string> = {}, as = authorization) =>
  sendRequest(port, target, { method, authorization: as, headers: { 'content-length': '0', ...headers } })

upstream.respond = respondAt(202, 0)
const started = String((await send('POST', uploads)).headers.location)
upstream.respond = respondAt(202, 10)
const current = String((await send('PATCH', started)).headers.location)
upstream.requests.length = 0

t.test('the registry gets the newest state of an upload if the client has an older one', async (t) => {
  upstream.respond = respondAt(204, 10)
  for (const [method, headers] of [
    ['GET', {}],
    ['HEAD', {}],
    ['DELETE', {}],
    ['PATCH', { 'content-range': '10-19', 'content-length': '10' }],
  ] as const) {
    const body = method === 'PATCH' ? '0123456789' : undefined
    await sendRequest(port, started, { method, authorization, headers, body })
    const sent = upstream.requests
      .splice(0)
      .map(({ url }) => new URL(url, 'http://x').searchParams.get('_state'))
    t.same(new Set(sent), new Set([stateOf(10)]), method)
  }
})

t.test('content without Content-Range for an outdated state is 416 with the current position', async (t) => {
  for (const [method, target] of [
    ['PATCH', started],
    ['PUT', `${started}&digest=${DIGEST}`],
  ] as const) {
    const response = await send(method, target)
    t.equal(response.status, 416, method)
    t.equal(response.code, 'BLOB_UPLOAD_INVALID')
    t.equal(response.headers.range, '0-9')
    t.equal(response.headers.location, current, 'the Location has the binding')
  }
  t.same(upstream.requests, [])
})

t.test('another account does not get the state of an upload', async (t) => {
  const other = bearer(access, { sub: 'bob', uid: 'uid-bob' })
  for (const method of ['GET', 'PATCH', 'DELETE']) {
    const response = await send(method, started, {}, other)
    t.equal(response.status, 404, method)
    t.equal(response.headers.location, undefined)
  }
  t.same(upstream.requests, [])
})
