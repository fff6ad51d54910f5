import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { createAuthClient } from '../src/auth-client.ts'
import type { ServiceClient } from '@registry-manager/http'

const alice = { username: 'alice', password: 'pw', address: '192.0.2.1' }
const pull = [repositoryAccess('team/app', 'pull')]

/** Responds to each POST with the next of `responses`, and records the request. */
function createFakeClient(responses: object[]) {
  const posts: { path: string; body: unknown }[] = []
  const post = async (path: string, body: unknown) => {
    posts.push({ path, body })
    return responses.shift() as never
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

t.test('an exchange sends credentials, address and access', async (t) => {
  const { client, posts } = createFakeClient([issued('one')])
  t.match(await createAuthClient(client, 'registry-proxy', () => 1_000_000).exchange(alice, pull), {
    outcome: 'issued',
    token: 'one',
  })
  t.same(posts, [{ path: '/internal/token-exchanges', body: { ...alice, access: pull } }])
})

t.test(
  'an exchanged token is cached for five seconds for the same credentials, address and access',
  async (t) => {
    let now = 1_000_000
    const { client, posts } = createFakeClient(
      ['one', 'two', 'three', 'four', 'five', 'six'].map((token) => issued(token)),
    )
    const { exchange, forget } = createAuthClient(client, 'registry-proxy', () => now)
    const tokenOf = async (credentials: typeof alice, access = pull) => {
      const exchanged = await exchange(credentials, access)
      return exchanged.outcome === 'issued' ? exchanged.token : exchanged.outcome
    }
    t.equal(await tokenOf(alice), 'one')
    t.equal(await tokenOf(alice), 'one')
    t.equal(await tokenOf({ ...alice, address: '192.0.2.2' }), 'two', 'another address')
    t.equal(await tokenOf({ ...alice, password: 'other' }), 'three', 'another password')
    t.equal(await tokenOf(alice, [repositoryAccess('team/app', 'push')]), 'four', 'other access')
    forget(alice, pull)
    t.equal(await tokenOf(alice), 'five', 'forgotten')
    now += 5_000
    t.equal(await tokenOf(alice), 'five')
    now += 1
    t.equal(await tokenOf(alice), 'six', 'five seconds later, although the token is still valid')
    t.equal(posts.length, 6)
  },
)

t.test('an offline token is not cached: it permits less than a token issued later', async (t) => {
  const { client } = createFakeClient([{ ...issued('pull-only'), offline: true }, issued('one')])
  const { exchange } = createAuthClient(client, 'registry-proxy', () => 1_000_000)
  t.match(await exchange(alice, pull), { token: 'pull-only' })
  t.match(await exchange(alice, pull), { token: 'one' })
})

t.test('a refused or throttled exchange is not cached', async (t) => {
  const throttled = { outcome: 'throttled', retryAfterSeconds: 3 }
  const { client } = createFakeClient([{ outcome: 'refused' }, throttled, issued('one')])
  const { exchange } = createAuthClient(client, 'registry-proxy', () => 1_000_000)
  t.same(await exchange(alice, pull), { outcome: 'refused' })
  t.same(await exchange(alice, pull), throttled)
  t.match(await exchange(alice, pull), { outcome: 'issued' })
})

t.test('a service token is cached by its access until shortly before it expires', async (t) => {
  let now = 1_000_000
  const { client, posts } = createFakeClient(['a', 'b', 'c'].map((token) => ({ token, expiresIn: 300 })))
  const { serviceToken } = createAuthClient(client, 'registry-proxy', () => now)
  t.equal(await serviceToken(pull), 'a')
  t.equal(await serviceToken(pull), 'a')
  t.equal(await serviceToken([repositoryAccess('team/other', 'pull')]), 'b')
  now += 285_000
  t.equal(await serviceToken(pull), 'a')
  now += 1
  t.equal(await serviceToken(pull), 'c', '15 seconds before it expires')
  t.same(posts[0], {
    path: '/internal/service-tokens',
    body: { service: 'registry-proxy', access: pull },
  })
})

t.test('a service token that expires within the margin is not cached', async (t) => {
  const { client } = createFakeClient(['a', 'b'].map((token) => ({ token, expiresIn: 15 })))
  const { serviceToken } = createAuthClient(client, 'registry-proxy', () => 1_000_000)
  t.equal(await serviceToken(pull), 'a')
  t.equal(await serviceToken(pull), 'b')
})

t.test('concurrent exchanges of the same credentials share one request', async (t) => {
  const { client, posts } = createFakeClient([issued('one'), issued('two'), issued('three')])
  const { exchange, forget } = createAuthClient(client, 'registry-proxy', () => 1_000_000)
  const first = [exchange(alice, pull), exchange(alice, pull)]
  forget(alice, pull)
  const second = exchange(alice, pull)
  t.match(await Promise.all(first), [{ token: 'one' }, { token: 'one' }])
  t.match(await second, { token: 'two' }, 'after forget() a call in flight is not joined')
  t.equal(posts.length, 2)
})

t.test('callers who joined an exchange that failed share one repeated exchange', async (t) => {
  const offline = { ...issued('offline'), offline: true }
  const unavailable = { outcome: 'unavailable', part: 'database' }
  for (const failure of [new Error('auth-service is unavailable'), unavailable, offline]) {
    const { client } = createFakeClient([])
    let calls = 0
    const post = async () => {
      calls += 1
      if (calls > 1) return issued('one') as never
      if (failure instanceof Error) throw failure
      return failure as never
    }
    const { exchange } = createAuthClient({ ...client, post }, 'registry-proxy', () => 1_000_000)
    const ends = await Promise.allSettled([1, 2, 3].map(() => exchange(alice, pull)))
    const [first, ...joined] = ends.map((end) => (end.status === 'fulfilled' ? end.value : end.reason))
    t.match(first, failure instanceof Error ? failure : { outcome: failure.outcome })
    t.match(joined, [{ token: 'one' }, { token: 'one' }])
    t.equal(calls, 2)
  }
})

t.test('the cache drops the least recently used token when it is full', async (t) => {
  const { client } = createFakeClient([])
  let calls = 0
  const post = async () => issued(`token ${(calls += 1)}`) as never
  const { exchange } = createAuthClient({ ...client, post }, 'registry-proxy', () => 1_000_000)
  for (let at = 0; at < 10_000; at += 1) await exchange({ ...alice, username: `user-${at}` }, null)
  await exchange({ ...alice, username: 'user-0' }, null)
  t.equal(calls, 10_000, 'all of them are cached')
  await exchange({ ...alice, username: 'one more' }, null)
  await exchange({ ...alice, username: 'user-0' }, null)
  t.equal(calls, 10_001, 'a recently used token stays')
  await exchange({ ...alice, username: 'user-1' }, null)
  t.equal(calls, 10_002, 'the least recently used one is gone')
})
