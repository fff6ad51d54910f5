import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { basic, startProxy } from './fixtures/proxy.ts'

const proxy = await startProxy(t)
const bearer = proxy.bearer([repositoryAccess('team/app', 'pull', 'push', 'delete')])
const DIGEST = `sha256:${'a'.repeat(64)}`

const WRITES = [
  ['POST', '/v2/team/app/blobs/uploads/'],
  ['PUT', '/v2/team/app/manifests/latest'],
  ['PATCH', '/v2/team/app/blobs/uploads/an-id?_state=x'],
  ['DELETE', `/v2/team/app/manifests/${DIGEST}`],
  ['DELETE', `/v2/team/app/blobs/${DIGEST}`],
] as const
const FOREIGN: readonly Record<string, string>[] = [
  { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
  { origin: 'null' },
  { 'sec-fetch-site': 'same-site' },
]

t.test('a write that a page of another origin sends is 403 and reaches no other service', async (t) => {
  const before = proxy.auth.callsOf('/internal/token-exchanges')
  for (const [method, path] of WRITES) {
    for (const headers of FOREIGN) {
      for (const authorization of [basic('alice', 'secret'), bearer]) {
        const response = await sendRequest(proxy.port, path, { method, authorization, headers })
        t.equal(response.status, 403, `${method} ${path}`)
        t.equal(response.code, 'DENIED')
        t.equal(response.headers['docker-distribution-api-version'], 'registry/2.0')
      }
    }
  }
  t.equal(proxy.upstream.requests.length, 0)
  t.equal(proxy.auth.callsOf('/internal/token-exchanges'), before, 'no password was verified')
})

t.test('a large write of a page of another origin is 403 before its body ends', async (t) => {
  const response = await sendRequest(proxy.port, '/v2/team/app/manifests/latest', {
    method: 'PUT',
    authorization: bearer,
    headers: { ...FOREIGN[0] },
    body: Buffer.alloc(2 * 1024 * 1024),
  })
  t.equal(response.status, 403)
  t.equal(response.headers.connection, 'close')
})

t.test('a write of the public origin reaches the registry', async (t) => {
  const headers = { origin: 'https://registry.test', 'sec-fetch-site': 'same-origin' }
  await sendRequest(proxy.port, '/v2/team/app/blobs/uploads/', {
    method: 'POST',
    authorization: bearer,
    headers,
  })
  t.equal(proxy.upstream.requests.length, 1)
})
