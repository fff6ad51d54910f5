import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { request as requestTls } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ask, askHttp2 } from './fixtures/ask.ts'
import type { Ingress } from './fixtures/ingress.ts'
import { startIngress } from './fixtures/ingress.ts'

const MIB = 1 << 20

function begin({ httpsPort, ca }: Ingress, method: string, path: string, headers = {}) {
  const host = { host: '127.0.0.1', port: httpsPort, ca, servername: 'localhost', agent: false as const }
  return requestTls({ ...host, method, path, headers })
}

/** Files that nginx keeps bodies in. */
function keptFiles({ folder }: Ingress): string[] {
  const names = readdirSync(join(folder, 'tmp'), { recursive: true, withFileTypes: true })
  return names.filter((entry) => entry.isFile()).map(({ name }) => name)
}

t.test('an upload reaches the service as it comes, and no faster than the service takes it', async (t) => {
  const requests: IncomingMessage[] = []
  const slow: RequestListener = (request, response) => {
    requests.push(request)
    request.on('end', () => response.end('done'))
  }
  const ingress = await startIngress(t, { services: { 'registry-proxy': [slow] } })
  const upload = begin(ingress, 'PATCH', '/v2/a/blobs/uploads/1', { 'content-length': 64 * MIB })
  upload.write(Buffer.alloc(1000))
  while (requests.length === 0) await sleep(10)
  const [request] = requests
  const [first] = (await once(request!, 'data')) as [Buffer]
  t.ok(first.length > 0, 'the first bytes are there while the client still sends')

  request!.pause()
  let sent = 1000
  while (sent < 64 * MIB) {
    const chunk = Buffer.alloc(Math.min(MIB, 64 * MIB - sent))
    sent += chunk.length
    if (upload.write(chunk)) continue
    // A service that does not read holds up the client: the rest stays there.
    const drained = await Promise.race([once(upload, 'drain'), sleep(500, 'stuck')])
    if (drained === 'stuck') break
  }
  t.ok(sent < 64 * MIB, `after ${sent >> 20} MiB nobody takes more`)
  t.strictSame(keptFiles(ingress), [])
  request!.resume()
  upload.end(Buffer.alloc(64 * MIB - sent))
  const [response] = (await once(upload, 'response')) as [IncomingMessage]
  t.equal(response.statusCode, 200)
  response.resume()
})

t.test('a download goes no faster than the client takes it, and never by the disk', async (t) => {
  const blob = Buffer.alloc(64 * MIB)
  let written = 0
  const send: RequestListener = async (_request, response: ServerResponse) => {
    response.setHeader('content-length', blob.length)
    for (let offset = 0; offset < blob.length; offset += MIB) {
      if (!response.write(blob.subarray(offset, offset + MIB))) await once(response, 'drain')
      written = offset + MIB
    }
    response.end()
  }
  const ingress = await startIngress(t, { services: { 'registry-proxy': [send] } })
  const download = begin(ingress, 'GET', '/v2/a/blobs/sha256:x').end()
  const [response] = (await once(download, 'response')) as [IncomingMessage]
  let before = -1
  while (before !== written) {
    before = written
    await sleep(300)
  }
  t.ok(written < blob.length, `${written >> 20} MiB are under way`)
  t.strictSame(keptFiles(ingress), [])
  let received = 0
  for await (const chunk of response as AsyncIterable<Buffer>) received += chunk.length
  t.equal(received, blob.length)
})

t.test('a refusal reaches a client that is still sending', async (t) => {
  // As the proxy does it: answer, read on for a moment, close.
  const refuse: RequestListener = (request, response) => {
    response.writeHead(401, { connection: 'close', 'content-length': 2 }).write('no')
    request.resume()
    setTimeout(() => request.destroy(), 500)
  }
  const ingress = await startIngress(t, { services: { 'registry-proxy': [refuse] } })
  for (const way of [ask, askHttp2]) {
    const body = Buffer.alloc(4 * MIB)
    const answer = await way(ingress, { method: 'PUT', path: '/v2/a/blobs/uploads/1', body })
    t.match(answer, { status: 401, text: 'no' })
  }
})

t.test('leave to send is given', async (t) => {
  const ingress = await startIngress(t)
  const upload = begin(ingress, 'PUT', '/v2/a/blobs/uploads/1', {
    expect: '100-continue',
    'content-length': 4,
  })
  upload.flushHeaders()
  await once(upload, 'continue')
  upload.end('body')
  const [response] = (await once(upload, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  t.match(JSON.parse(text), { received: 4, headers: { 'content-length': '4' } })
  t.notMatch(text, /expect/)
})

t.test('the head of an answer is kept', async (t) => {
  // As long as this client takes them.
  const location = `/v2/a/blobs/uploads/1?_state=${'x'.repeat(14_000)}`
  const headers = { 'content-length': '12345', 'docker-content-digest': 'sha256:x', etag: '"x"', location }
  const answer: RequestListener = (_request, response) => void response.writeHead(200, headers).end()
  const ingress = await startIngress(t, { services: { 'registry-proxy': [answer] } })
  for (const way of [ask, askHttp2]) {
    t.match(await way(ingress, { method: 'HEAD', path: '/v2/a/blobs/sha256:x' }), { status: 200, headers })
  }
})
