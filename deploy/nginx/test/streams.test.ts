import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { request as requestTls } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { send, sendHttp2 } from './fixtures/client.ts'
import type { Ingress } from './fixtures/ingress.ts'
import { startIngress } from './fixtures/ingress.ts'

const MIB = 1 << 20

function begin({ httpsPort, ca }: Ingress, method: string, path: string, headers = {}) {
  const host = { host: '127.0.0.1', port: httpsPort, ca, servername: 'localhost', agent: false as const }
  return requestTls({ ...host, method, path, headers })
}

/** The names of the files that nginx has buffered bodies in. */
function bufferFiles({ folder }: Ingress): string[] {
  const names = readdirSync(join(folder, 'tmp'), { recursive: true, withFileTypes: true })
  return names.filter((entry) => entry.isFile()).map(({ name }) => name)
}

t.test(
  'nginx streams an upload, no faster than the service reads, and without buffering it on disk',
  async (t) => {
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
    t.ok(first.length > 0, 'the service receives the first bytes while the client still sends')

    request!.pause()
    let sent = 1000
    while (sent < 64 * MIB) {
      const chunk = Buffer.alloc(Math.min(MIB, 64 * MIB - sent))
      sent += chunk.length
      if (upload.write(chunk)) continue
      // A service that does not read blocks the client.
      const drained = await Promise.race([once(upload, 'drain'), sleep(500, 'stuck')])
      if (drained === 'stuck') break
    }
    t.ok(sent < 64 * MIB, `the client is blocked after ${sent >> 20} MiB`)
    t.strictSame(bufferFiles(ingress), [])
    request!.resume()
    upload.end(Buffer.alloc(64 * MIB - sent))
    const [response] = (await once(upload, 'response')) as [IncomingMessage]
    t.equal(response.statusCode, 200)
    response.resume()
  },
)

t.test(
  'nginx streams a download, no faster than the client reads, and without buffering it on disk',
  async (t) => {
    const blob = Buffer.alloc(64 * MIB)
    let written = 0
    const sendBlob: RequestListener = async (_request, response: ServerResponse) => {
      response.setHeader('content-length', blob.length)
      for (let offset = 0; offset < blob.length; offset += MIB) {
        if (!response.write(blob.subarray(offset, offset + MIB))) await once(response, 'drain')
        written = offset + MIB
      }
      response.end()
    }
    const ingress = await startIngress(t, { services: { 'registry-proxy': [sendBlob] } })
    const download = begin(ingress, 'GET', '/v2/a/blobs/sha256:x').end()
    const [response] = (await once(download, 'response')) as [IncomingMessage]
    let before = -1
    while (before !== written) {
      before = written
      await sleep(300)
    }
    t.ok(written < blob.length, `the service is blocked after ${written >> 20} MiB`)
    t.strictSame(bufferFiles(ingress), [])
    let received = 0
    for await (const chunk of response as AsyncIterable<Buffer>) received += chunk.length
    t.equal(received, blob.length)
  },
)

t.test('a client that is still sending its body receives a refusal', async (t) => {
  // registry-proxy does the same: it responds, discards the body for a moment, and closes.
  const refuse: RequestListener = (request, response) => {
    response.writeHead(401, { connection: 'close', 'content-length': 2 }).write('no')
    request.resume()
    setTimeout(() => request.destroy(), 500)
  }
  const ingress = await startIngress(t, { services: { 'registry-proxy': [refuse] } })
  for (const sendRequest of [send, sendHttp2]) {
    const body = Buffer.alloc(4 * MIB)
    const response = await sendRequest(ingress, { method: 'PUT', path: '/v2/a/blobs/uploads/1', body })
    t.match(response, { status: 401, text: 'no' })
  }
})

t.test('nginx responds 100 Continue, and forwards no Expect header', async (t) => {
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

t.test('nginx forwards long response headers unchanged', async (t) => {
  // The limit of this client.
  const location = `/v2/a/blobs/uploads/1?_state=${'x'.repeat(14_000)}`
  const headers = { 'content-length': '12345', 'docker-content-digest': 'sha256:x', etag: '"x"', location }
  const response: RequestListener = (_request, response) => void response.writeHead(200, headers).end()
  const ingress = await startIngress(t, { services: { 'registry-proxy': [response] } })
  for (const sendRequest of [send, sendHttp2]) {
    t.match(await sendRequest(ingress, { method: 'HEAD', path: '/v2/a/blobs/sha256:x' }), {
      status: 200,
      headers,
    })
  }
})
