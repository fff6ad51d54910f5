import t from 'tap'
import { createAccountsClient } from '../src/accounts-client.ts'
import type { ServiceClient } from '@registry-manager/http'
import { ServiceCallError } from '@registry-manager/http'

const UID = '0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11'
const rights = { kind: 'user', role: 'user', namespaces: ['team'], generation: 2 } as const

/** A fake auth-service with one account and a revocation list. */
function createFake() {
  const fake = {
    now: 1_000_000,
    account: rights as object | undefined,
    isDown: false,
    requests: [] as string[],
    /** The lowest valid generation; undefined while the revocation list is not loaded. */
    least: 0 as number | undefined,
    /** The lowest valid generation of single ids. */
    leastOf: {} as Record<string, number>,
    client: {
      get: async (path: string) => {
        fake.requests.push(path)
        if (fake.isDown) throw new ServiceCallError('no response', { dependency: 'auth-service' })
        if (fake.account === undefined)
          throw new ServiceCallError('not found', { dependency: 'auth-service', status: 404 })
        return fake.account
      },
    } as unknown as ServiceClient,
  }
  const feed = {
    isRevoked: (uid: string, generation: number) =>
      fake.least === undefined
        ? undefined
        : generation < (uid === UID ? fake.least : (fake.leastOf[uid] ?? 0)),
  }
  const findFacts = createAccountsClient(fake.client, feed, () => fake.now)
  const find = (uid: string, via?: string, rules?: readonly string[]) => findFacts({ uid, via, rules })
  return { fake, find }
}

t.test('an account is requested once and cached', async (t) => {
  const { fake, find } = createFake()
  for (const _ of [1, 2, 3]) t.strictSame(await find(UID), rights)
  t.same(fake.requests, [`/internal/accounts/${UID}`])
})

t.test('the rights of a personal token are cached until its owner changes or it ends', async (t) => {
  const { fake, find } = createFake()
  const path = `/internal/accounts/${UID}/via/laptop`
  for (const _ of [1, 2]) t.strictSame(await find(UID, 'laptop'), rights)
  t.same(fake.requests, [path])
  await find(UID)
  t.same(fake.requests, [path, `/internal/accounts/${UID}`], 'the owner has other rights')
  fake.account = undefined
  fake.leastOf['laptop'] = 1
  t.equal(await find(UID, 'laptop'), undefined, 'it was deleted')
  t.strictSame(await find(UID), rights, 'the rights of the owner stay cached')
})

t.test('a workload has the scopes and grants of all its trust rules', async (t) => {
  const { fake, find } = createFake()
  const scope = (name: string) => ({ type: 'repository', name, actions: ['pull'] })
  const grant = { id: 'g', repositories: 'other/*', actions: ['pull'] }
  const ofRule = (name: string, grants: object[]) => {
    return { kind: 'token', scopes: [scope(name)], grants, generation: 1 }
  }
  fake.account = ofRule('team/a', []) as never
  await find('one')
  fake.account = ofRule('team/b', [grant]) as never
  t.strictSame(await find('one', undefined, ['two']), {
    kind: 'token',
    scopes: [scope('team/a'), scope('team/b')],
    grants: [grant],
    generation: 1,
  })
  fake.leastOf['one'] = 2
  fake.account = undefined
  t.match(await find('one', undefined, ['two']), { scopes: [scope('team/b')] }, 'the first rule has ended')
})

t.test('the anonymous uid has no account and causes no request', async (t) => {
  const { fake, find } = createFake()
  t.equal(await find('anonymous'), undefined)
  t.same(fake.requests, [])
})

t.test('a cached account is requested again when the revocation list names it', async (t) => {
  const { fake, find } = createFake()
  await find(UID)
  fake.least = 3
  fake.account = { ...rights, generation: 3, namespaces: [] }
  t.match(await find(UID), { generation: 3, namespaces: [] })
  t.match(await find(UID), { generation: 3 })
  t.equal(fake.requests.length, 2, 'the new account is cached')
})

t.test('a cached account is requested again after a minute, because revocations expire', async (t) => {
  const { fake, find } = createFake()
  await find(UID)
  fake.now += 60_000
  await find(UID)
  t.equal(fake.requests.length, 1)
  fake.now += 1
  await find(UID)
  t.equal(fake.requests.length, 2)
})

t.test('accounts are not cached while the revocation list is not loaded', async (t) => {
  const { fake, find } = createFake()
  fake.least = undefined
  for (const _ of [1, 2]) await find(UID)
  t.equal(fake.requests.length, 2)
})

t.test('an unknown account is undefined and is not cached', async (t) => {
  const { fake, find } = createFake()
  fake.account = undefined
  t.equal(await find(UID), undefined)
  fake.account = rights
  t.strictSame(await find(UID), rights)
  fake.least = 3
  fake.account = undefined
  t.equal(await find(UID), undefined, 'also when the account was cached before')
})

t.test('an unavailable auth-service is an error, not an unknown account', async (t) => {
  const { fake, find } = createFake()
  fake.isDown = true
  await t.rejects(find(UID), ServiceCallError)
  fake.isDown = false
  await find(UID)
  fake.isDown = true
  t.strictSame(await find(UID), rights, 'a cached account stays valid')
  fake.least = 3
  await t.rejects(find(UID), ServiceCallError, 'a revoked account does not')
})

t.test('an account id is encoded as one path segment', async (t) => {
  const { fake, find } = createFake()
  await find('../service-tokens?x')
  t.same(fake.requests, ['/internal/accounts/..%2Fservice-tokens%3Fx'])
})

t.test('concurrent callers share one request for an account', async (t) => {
  const { fake, find } = createFake()
  const found = await Promise.all([find(UID), find(UID), find('another')])
  t.strictSame(found, [rights, rights, rights])
  t.strictSame(fake.requests, [`/internal/accounts/${UID}`, '/internal/accounts/another'])
})

t.test('a shared request that started before a revocation is repeated', async (t) => {
  const { fake, find } = createFake()
  const first = find(UID)
  fake.least = 3
  fake.account = { ...rights, generation: 3 }
  const second = find(UID)
  t.match(await second, { generation: 3 })
  t.match(await first, { generation: 3 })
})
