import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { ask } from './fixtures/ask.ts'
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
  ask(port, path, { method, authorization: as, headers: { 'x-decide-only': '1' } })
const told = (headers: object) => Object.entries(headers).filter(([name]) => name.startsWith('x-decided-'))

t.test('a blob on its way down: what goes to the registry is told', async (t) => {
  const answer = await decide('GET', `${blob}?more=this`)
  t.equal(answer.status, 200)
  t.same(told(answer.headers), [
    ['x-decided-uri', blob],
    ['x-decided-authorization', authorization],
  ])
  t.equal(answer.body.length, 0)
})

t.test('a part of one on its way up: and whose it is', async (t) => {
  const answer = await decide('PATCH', `${upload}?_state=st-a_te%3D%3D&_binding=${binding}`)
  t.equal(answer.status, 200)
  t.same(told(answer.headers), [
    ['x-decided-uri', `${upload}?_state=st-a_te%3D%3D`],
    ['x-decided-authorization', authorization],
    ['x-decided-binding', binding],
  ])
})

t.test('and its end', async (t) => {
  const answer = await decide('PUT', `${upload}?digest=${DIGEST}&_state=s&_binding=${binding}`)
  t.equal(answer.status, 200)
  t.equal(answer.headers['x-decided-uri'], `${upload}?_state=s&digest=${encodeURIComponent(DIGEST)}`)
})

t.test('who brings a password is told the token that they got for it', async (t) => {
  const answer = await decide('GET', blob, basic('alice', 'right'))
  t.equal(answer.status, 200)
  t.match(answer.headers['x-decided-authorization'], /^Bearer ey/)
})

t.test('all else is carried here, and nothing is told of it', async (t) => {
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
    const answer = await decide(method, path)
    t.same([answer.status, told(answer.headers)], [204, []], `${method} ${path}`)
  }
})

t.test('what needs a token of ours is: nobody is told that', async (t) => {
  const pushOnly = bearer([repositoryAccess('team/app', 'push')])
  const answer = await decide('PATCH', `${upload}?_binding=${binding}`, pushOnly)
  t.same([answer.status, told(answer.headers)], [204, []])
})

t.test('a refusal is a refusal', async (t) => {
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
    const answer = await decide(method, path, as)
    t.same([answer.status, told(answer.headers)], [status, []], `${method} ${path} by ${as}`)
  }
})

t.test('a decision sends no request to the registry and writes no token to the log', async (t) => {
  t.equal((await decide('GET', blob)).status, 200)
  t.same(upstream.requests, [])
  t.ok(log.length > 0)
  t.notMatch(log.join(''), authorization.slice('Bearer '.length))
})
