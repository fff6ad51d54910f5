import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { createAuthClient } from '../src/auth-client.ts'
import type { ServiceClient } from '@registry-manager/http'

const alice = { username: 'alice', password: 'pw', address: '192.0.2.1' }
const pull = [repositoryAccess('team/app', 'pull')]

/** Answers every POST in turn, and notes it. */
function createFakeClient(answers: object[]) {
  const posts: { path: string; body: unknown }[] = []
  const post = async (path: string, body: unknown) => {
    posts.push({ path, body })
    return answers.shift() as never
  }
  const never = async () => undefined as never
  const client: ServiceClient = {
    post,
    getIfChanged: never,
    get: never,
    postBytes: never,
    delete: never,
  }
  return { client, posts }
}

const issued = (token: string, expiresIn = 300) => ({ outcome: 'issued', token, expiresIn })

t.test('an exchange says who, from where, and for what', async (t) => {
  const { client, posts } = createFakeClient([issued('one')])
  t.match(await createAuthClient(client, 'registry-proxy', () => 0).exchange(alice, pull), {
    outcome: 'issued',
    token: 'one',
  })
  t.same(posts, [{ path: '/internal/token-exchanges', body: { ...alice, access: pull } }])
})

t.test('what was exchanged serves the same credentials for the same access, for a while', async (t) => {
  let now = 0
  const { client, posts } = createFakeClient(
    ['one', 'two', 'three', 'four', 'five', 'six'].map((token) => issued(token)),
  )
  const { exchange, forget } = createAuthClient(client, 'registry-proxy', () => now)
  const tokenOf = async (credentials: typeof alice, access = pull) => {
    const answer = await exchange(credentials, access)
    return answer.outcome === 'issued' ? answer.token : answer.outcome
  }
  t.equal(await tokenOf(alice), 'one')
  t.equal(await tokenOf(alice), 'one')
  t.equal(await tokenOf({ ...alice, address: '192.0.2.2' }), 'two', 'another address, which may be limited')
  t.equal(await tokenOf({ ...alice, password: 'other' }), 'three', 'another password')
  t.equal(await tokenOf(alice, [repositoryAccess('team/app', 'push')]), 'four', 'other access')
  forget(alice, pull)
  t.equal(await tokenOf(alice), 'five', 'forgotten')
  now += 4_999
  t.equal(await tokenOf(alice), 'five')
  now += 1
  t.equal(await tokenOf(alice), 'six', 'five seconds later, however long it would live')
  t.equal(posts.length, 6)
})

t.test('nor is what was issued while the database is away, which is less than it could be', async (t) => {
  const { client } = createFakeClient([{ ...issued('pull-only'), offline: true }, issued('one')])
  const { exchange } = createAuthClient(client, 'registry-proxy', () => 0)
  t.match(await exchange(alice, pull), { token: 'pull-only' })
  t.match(await exchange(alice, pull), { token: 'one' })
})

t.test('a refusal is not remembered', async (t) => {
  const throttled = { outcome: 'throttled', retryAfterSeconds: 3 }
  const { client } = createFakeClient([{ outcome: 'refused' }, throttled, issued('one')])
  const { exchange } = createAuthClient(client, 'registry-proxy', () => 0)
  t.same(await exchange(alice, pull), { outcome: 'refused' })
  t.same(await exchange(alice, pull), throttled)
  t.match(await exchange(alice, pull), { outcome: 'issued' })
})

t.test('a token of our own is remembered for its access and its life', async (t) => {
  let now = 0
  const { client, posts } = createFakeClient(['a', 'b', 'c'].map((token) => ({ token, expiresIn: 300 })))
  const { serviceToken } = createAuthClient(client, 'registry-proxy', () => now)
  t.equal(await serviceToken(pull), 'a')
  t.equal(await serviceToken(pull), 'a')
  t.equal(await serviceToken([repositoryAccess('team/other', 'pull')]), 'b')
  now += 284_999
  t.equal(await serviceToken(pull), 'a')
  now += 1
  t.equal(await serviceToken(pull), 'c', 'not so late that it could end on its way')
  t.same(posts[0], {
    path: '/internal/service-tokens',
    body: { service: 'registry-proxy', access: pull },
  })
})
