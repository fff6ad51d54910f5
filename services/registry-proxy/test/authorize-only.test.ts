import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, basic, startProxy } from './fixtures/proxy.ts'
import { DIGEST, SHA512 } from './fixtures/requests.ts'

const { port, auth, upstream, bearer, log } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push', 'delete')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const blob = `/v2/team/app/blobs/${DIGEST}`
const upload = '/v2/team/app/blobs/uploads/u1'
const access = [repositoryAccess('team/app', 'pull')]
auth.accounts.set('alice', { password: 'right', uid: 'uid-alice', gen: 1, access })
const decide = (method: string, path: string, as = authorization) =>
  sendRequest(port, path, { method, authorization: as, headers: { 'x-decide-only': '1' } })
const decided = (headers: object) => Object.entries(headers).filter(([name]) => name.startsWith('x-decided-'))

t.test('nginx gets the URI and the token for the download of a blob', async (t) => {
  const response = await decide('GET', `${blob}?more=this`)
  t.equal(response.status, 200)
  t.same(decided(response.headers), [
    ['x-decided-uri', blob],
    ['x-decided-authorization', authorization],
  ])
  t.equal(response.body.length, 0)
})

t.test('nginx gets the URI, the token and the binding for a chunk of an upload', async (t) => {
  const response = await decide('PATCH', `${upload}?_state=st-a_te%3D%3D&_binding=${binding}`)
  t.equal(response.status, 200)
  t.same(decided(response.headers), [
    ['x-decided-uri', `${upload}?_state=st-a_te%3D%3D`],
    ['x-decided-authorization', authorization],
    ['x-decided-binding', binding],
  ])
})

t.test('nginx gets the URI for the closing PUT of an upload, with the digest escaped', async (t) => {
  const response = await decide('PUT', `${upload}?digest=${DIGEST}&_state=s&_binding=${binding}`)
  t.equal(response.status, 200)
  t.equal(response.headers['x-decided-uri'], `${upload}?_state=s&digest=${encodeURIComponent(DIGEST)}`)
})

t.test('nginx gets the exchanged token for a request with a password', async (t) => {
  const response = await decide('GET', blob, basic('alice', 'right'))
  t.equal(response.status, 200)
  t.match(response.headers['x-decided-authorization'], /^Bearer ey/)
})

t.test('nginx gets 204 for every request that this service forwards itself', async (t) => {
  for (const [method, path] of [
    ['HEAD', blob],
    ['GET', '/v2/team/app/manifests/latest'],
    ['GET', `${upload}?_binding=${binding}`],
    ['PUT', `${upload}?_binding=${binding}&digest=${SHA512}`],
    ['GET', `/v2/team/app/manifests/${DIGEST}`],
    ['DELETE', `${upload}?_binding=${binding}`],
    ['POST', '/v2/team/app/blobs/uploads/'],
    ['PUT', '/v2/team/app/manifests/latest'],
    ['GET', '/v2/'],
  ] as const) {
    const response = await decide(method, path)
    t.same([response.status, decided(response.headers)], [204, []], `${method} ${path}`)
  }
})

t.test('nginx gets 204 for a request that needs a service token', async (t) => {
  const pushOnly = bearer([repositoryAccess('team/app', 'push')])
  const response = await decide('PATCH', `${upload}?_binding=${binding}`, pushOnly)
  t.same([response.status, decided(response.headers)], [204, []])
})

t.test('with BLOB_REDIRECTS nginx gets 204 for blobs, because it does not check redirects', async (t) => {
  const proxy = await startProxy(t, { storageOrigins: ['https://storage.test'] })
  const pull = proxy.bearer([repositoryAccess('team/app', 'pull', 'push')])
  const headers = { 'x-decide-only': '1' }
  const response = await sendRequest(proxy.port, blob, { authorization: pull, headers })
  t.same([response.status, decided(response.headers)], [204, []])
  const bound = `${upload}?_binding=${binding}`
  const sending = { method: 'PATCH', authorization: pull, headers }
  t.equal((await sendRequest(proxy.port, bound, sending)).status, 200, 'nginx still sends uploads')
})

t.test('the refusal of an authorize-only request has no X-Decided-* header', async (t) => {
  const foreign = bearer([repositoryAccess('team/other', 'pull')])
  for (const [method, path, as, status] of [
    ['GET', blob, '', 401],
    ['GET', blob, 'Bearer forged', 401],
    ['GET', blob, basic('alice', 'wrong'), 401],
    ['GET', blob, foreign, 401],
    ['GET', `/v2/team/app/../../blobs/${DIGEST}`, authorization, 400],
    ['GET', '/v2/team/app/blobs/sha256:short', authorization, 400],
    ['PATCH', upload, authorization, 404],
    ['PATCH', `${upload}?_binding=${binding}`, bearer([repositoryAccess('team/app', 'pull')]), 401],
  ] as const) {
    const response = await decide(method, path, as)
    t.same([response.status, decided(response.headers)], [status, []], `${method} ${path} by ${as}`)
  }
})

t.test('a decision sends no request to the registry and logs no token', async (t) => {
  t.equal((await decide('GET', blob)).status, 200)
  t.same(upstream.requests, [])
  t.ok(log.length > 0)
  t.notMatch(log.join(''), authorization.slice('Bearer '.length))
})
