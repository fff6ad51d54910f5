import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { basic, startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push')]
auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access })
const registryHost = new URL(upstream.url).host
const path = `/v2/team/app/blobs/${DIGEST}`

/** Headers that a server trusts when its proxy sends them. A client must not be able to set them. */
const HOSTILE: Record<string, string> = {
  forwarded: 'for=192.0.2.1;proto=https;host=evil.test',
  'x-forwarded-for': '127.0.0.1',
  'x-forwarded-host': 'evil.test',
  'x-forwarded-proto': 'https',
  'x-forwarded-port': '1',
  'x-forwarded-prefix': '/evil',
  'x-forwarded-user': 'admin',
  'x-real-ip': '127.0.0.1',
  'x-original-url': '/v2/other/app/manifests/latest',
  'x-original-uri': '/v2/other/app/manifests/latest',
  'x-rewrite-url': '/v2/other/app/manifests/latest',
  'x-http-method-override': 'DELETE',
  'x-accel-redirect': '/internal',
  'x-registry-auth': 'e30=',
  'docker-upload-uuid': 'u',
  'proxy-authorization': 'Basic YWRtaW46YWRtaW4=',
  cookie: 'session=admin',
  te: 'trailers',
  via: '1.1 evil.test',
  'keep-alive': 'timeout=1',
  'proxy-connection': 'keep-alive',
  upgrade: 'h2c',
  'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA',
  origin: 'https://evil.test',
  referer: 'https://evil.test/',
  'content-encoding': 'gzip',
  'content-md5': 'x',
}

for (const connection of ['close', 'close, authorization, host, accept', 'upgrade, http2-settings']) {
  t.test(`no hostile header reaches the registry, with Connection: ${connection}`, async (t) => {
    const authorization = bearer(access)
    const headers = { ...HOSTILE, connection, accept: 'a/b', 'user-agent': 'docker/29' }
    t.equal((await sendRequest(port, path, { authorization, headers })).status, 200)
    const sent = upstream.only().headers
    upstream.requests.length = 0
    t.same(
      Object.keys(sent).filter((name) => name in HOSTILE),
      [],
    )
    t.equal(sent.host, registryHost)
    t.equal(sent.authorization, authorization, 'Connection cannot remove Authorization')
    t.notMatch(sent.connection, /authorization|upgrade/)
  })
}

t.test('the registry gets a token in place of the password', async (t) => {
  const response = await sendRequest(port, path, { authorization: basic('alice', 'pw') })
  t.equal(response.status, 200)
  const { headers } = upstream.only()
  upstream.requests.length = 0
  t.match(headers.authorization, /^Bearer [\w-]+\.[\w-]+\.[\w-]+$/)
  t.notMatch(JSON.stringify(headers), basic('alice', 'pw').slice('Basic '.length))
})

t.test('the registry gets only the Authorization header that was verified, out of two', async (t) => {
  const [good, foreign] = [bearer(access), bearer([repositoryAccess('other/app', 'pull')])]
  const headers = { authorization: [good, foreign] as unknown as string }
  const response = await sendRequest(port, path, { headers })
  t.equal(response.status, 200)
  t.equal(upstream.only().headers.authorization, good)
  upstream.requests.length = 0
  const swapped = { authorization: [foreign, good] as unknown as string }
  t.equal((await sendRequest(port, path, { headers: swapped })).status, 401)
  t.same(upstream.requests, [])
})
