import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { openRawConnection, sendRaw, statusOf } from './fixtures/raw-connection.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_binding=${binding}`
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

const head = (method: string, target: string, headers: string) =>
  `${method} ${target} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n${headers}\r\n\r\n`
const withToken = (headers: string) => `Authorization: ${authorization}\r\n${headers}`

const REFUSED: readonly [string, string, number][] = [
  ['no credentials', head('PATCH', upload, 'Content-Length: 1000000000'), 401],
  ['no credentials, in chunks', head('PATCH', upload, 'Transfer-Encoding: chunked'), 401],
  ['no credentials, a short body', head('PUT', `${upload}&digest=${DIGEST}`, 'Content-Length: 1'), 401],
  ['another repository', head('PUT', '/v2/other/app/manifests/x', withToken('Content-Length: 9')), 401],
  ["another account's upload", head('PATCH', upload.slice(0, -1), withToken('Content-Length: 9')), 404],
  ['an invalid name', head('PUT', '/v2/Team/manifests/x', withToken('Content-Length: 9')), 400],
  ['an unsupported method', head('PATCH', '/v2/', withToken('Content-Length: 9')), 405],
  ['no route', head('PUT', '/other', withToken('Content-Length: 9')), 404],
  [
    'a manifest that is too long',
    head('PUT', '/v2/team/app/manifests/x', withToken('Content-Length: 4194305')),
    413,
  ],
]

for (const [what, request, status] of REFUSED) {
  t.test(`a refused client gets no 100 Continue: ${what}`, async (t) => {
    const received = await sendRaw(port, request)
    t.equal(statusOf(received), status)
    t.notMatch(received, /100 Continue/i)
    t.match(received, /^connection: close\r$/im, 'the client may or may not send its body')
    t.same(upstream.requests, [])
  })
}

const PERMITTED: readonly [string, string][] = [
  ['PATCH', upload],
  ['PUT', `${upload}&digest=${DIGEST}`],
  ['PUT', '/v2/team/app/manifests/latest'],
]

for (const [method, target] of PERMITTED) {
  for (const framing of ['Content-Length: 5', 'Transfer-Encoding: chunked']) {
    t.test(
      `${method} ${target.split('?')[0]} by ${framing} gets 100 Continue and is forwarded`,
      async (t) => {
        const connection = await openRawConnection(port)
        connection.write(head(method, target, withToken(`Connection: close\r\n${framing}`)))
        await connection.receives(CONTINUE)
        t.equal(connection.received(), CONTINUE, 'nothing else before the body')
        connection.write(framing.startsWith('C') ? 'hello' : '5\r\nhello\r\n0\r\n\r\n')
        const received = await connection.closed()
        t.equal(statusOf(received), 200)
        t.equal(received.split(CONTINUE).length, 2, '100 Continue is sent once')
        const sent = upstream.only()
        upstream.requests.length = 0
        t.equal(sent.body.toString(), 'hello')
        t.equal(sent.headers.expect, undefined, 'the registry gets no Expect header')
      },
    )
  }
}

t.test('a chunked manifest that is too long gets the whole 413 response after 100 Continue', async (t) => {
  const connection = await openRawConnection(port)
  connection.write(head('PUT', '/v2/team/app/manifests/x', withToken('Transfer-Encoding: chunked')))
  await connection.receives(CONTINUE)
  const chunk = `100000\r\n${'x'.repeat(1 << 20)}\r\n`
  for (const _ of [1, 2, 3, 4, 5, 6]) connection.write(chunk)
  connection.write('0\r\n\r\n')
  const received = await connection.closed()
  t.equal(statusOf(received), 413)
  t.match(received, /\{"errors":\[.*\]\}$/)
  t.same(upstream.requests, [])
})

t.test('an HTTP/1.0 client gets no 100 Continue', async (t) => {
  const request = head('PUT', '/v2/team/app/manifests/x', withToken('Content-Length: 2'))
  const received = await sendRaw(port, `${request.replace('HTTP/1.1', 'HTTP/1.0')}{}`)
  t.equal(statusOf(received), 200)
  t.notMatch(received, /100 Continue/i)
  upstream.requests.length = 0
})

const form = `mount=${DIGEST}&from=other/app`
const formHead =
  'POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n' +
  `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n`

t.test('a form that waits for 100 Continue does not delay the response', async (t) => {
  const refused = await sendRaw(port, `${formHead}\r\n`)
  t.equal(statusOf(refused), 401)
  t.notMatch(refused, /100 Continue/i)
  t.same(upstream.requests, [])

  const permitted = await sendRaw(port, `${formHead}Authorization: ${authorization}\r\n\r\n${form}`)
  t.equal(statusOf(permitted), 200)
  t.equal(upstream.only().url, '/v2/team/app/blobs/uploads/')
  upstream.requests.length = 0
})

const bytes = Buffer.alloc(3 << 20, 'layer ')

/** Uploads the bytes with curl, which sends Expect by itself above 1 MiB. */
async function curl(path: string, ...more: string[]): Promise<string> {
  const url = `http://127.0.0.1:${port}${path}`
  const options = ['-sS', '-v', '--max-time', '20', '-X', 'PATCH', '--data-binary', '@-', ...more]
  const child = spawn('curl', [...options, url], { stdio: ['pipe', 'ignore', 'pipe'] })
  child.stdin.on('error', () => undefined)
  child.stdin.end(bytes)
  const [, trace] = await Promise.all([once(child, 'close'), text(child.stderr)])
  return trace
}

const skip = spawnSync('curl', ['--version']).status === 0 ? false : 'curl is not installed'

t.test('curl uploads a layer with Expect: 100-continue', { skip }, async (t) => {
  const refused = await curl(upload)
  t.match(refused, '> Expect: 100-continue')
  t.match(refused, '< HTTP/1.1 401 ')
  t.notMatch(refused, '100 Continue')
  t.same(upstream.requests, [])

  const uploaded = await curl(upload, '-H', `Authorization: ${authorization}`)
  t.match(uploaded, '< HTTP/1.1 100 Continue')
  t.match(uploaded, '< HTTP/1.1 200 ')
  t.ok(upstream.only().body.equals(bytes))
})
