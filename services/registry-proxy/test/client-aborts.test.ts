import type { IncomingMessage, ServerResponse } from 'node:http'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, startProxy, until } from './fixtures/proxy.ts'
import { openRawConnection } from './fixtures/raw-connection.ts'
import { respondOk } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer, log } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_binding=${binding}`

/** Begins a request. `seen` is what the registry has received of it. */
async function beginRequest(head: string, respond: (response: ServerResponse) => void) {
  const seen = Promise.withResolvers<{ incoming: IncomingMessage; ended: Promise<unknown> }>()
  upstream.respond = (incoming, response) => {
    const ended = new Promise((resolve) => response.once('close', resolve))
    incoming.once('error', () => undefined)
    incoming.once('data', () => seen.resolve({ incoming, ended }))
    incoming.once('end', () => seen.resolve({ incoming, ended }))
    respond(response)
  }
  const connection = await openRawConnection(port)
  connection.write(`${head}\r\nHost: x\r\nAuthorization: ${authorization}\r\n`)
  return { connection, seen: seen.promise }
}

const FRAMINGS: readonly [string, string][] = [
  ['by length', 'Content-Length: 1000000\r\n\r\nsome of it'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\na\r\nsome of it\r\n'],
]

for (const [what, rest] of FRAMINGS) {
  t.test(`an upload ${what} that the client aborts does not look complete to the registry`, async (t) => {
    const { connection, seen } = await beginRequest(`PATCH ${upload} HTTP/1.1`, () => undefined)
    connection.write(rest)
    const { incoming, ended } = await seen
    connection.destroy()
    await ended
    t.notOk(incoming.complete)
  })
}

for (const [what, rest] of FRAMINGS) {
  t.test(`a manifest ${what} that the client aborts does not reach the registry`, async (t) => {
    upstream.requests.length = 0
    upstream.respond = respondOk
    const connection = await openRawConnection(port)
    connection.write(
      `PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n` +
        `Expect: 100-continue\r\n${rest}`,
    )
    await connection.receives('100 Continue')
    connection.destroy()
    t.equal((await sendRequest(port, '/v2/', { authorization })).status, 200)
    t.equal(upstream.only().url, '/v2/')
  })
}

t.test('a download that the client aborts is aborted at the registry', async () => {
  const { connection, seen } = await beginRequest(`GET /v2/team/app/blobs/${DIGEST} HTTP/1.1`, (response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536))) continue
    }
    response.on('drain', more)
    more()
  })
  connection.write('\r\n')
  await connection.receives('\r\n\r\n')
  connection.destroy()
  const { ended } = await seen
  let hasEnded = false
  void ended.then(() => (hasEnded = true))
  await until(() => hasEnded, 'the response of the registry is closed')
})

t.test('aborted requests neither stop the proxy nor are logged as errors', async (t) => {
  upstream.respond = respondOk
  t.equal((await sendRequest(port, '/v2/', { authorization })).status, 200)
  t.same(
    log.filter((line) => JSON.parse(line).level >= 50),
    [],
  )
})
