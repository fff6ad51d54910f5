import t from 'tap'
import { createAccountsClient } from '../src/accounts-client.ts'
import type { ServiceClient } from '@registry-manager/http'
import { ServiceCallError } from '@registry-manager/http'

const UID = '0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11'
const facts = { kind: 'user', role: 'user', namespaces: ['team'], generation: 2 } as const

/** An auth-service with one account, and the revocations that it told. */
function createFake() {
  const fake = {
    now: 1_000_000,
    account: facts as object | undefined,
    away: false,
    asked: [] as string[],
    least: 0 as number | undefined,
    client: {
      get: async (path: string) => {
        fake.asked.push(path)
        if (fake.away) throw new ServiceCallError('it did not answer', { dependency: 'auth-service' })
        if (fake.account === undefined)
          throw new ServiceCallError('it answered 404', { dependency: 'auth-service', status: 404 })
        return fake.account
      },
    } as unknown as ServiceClient,
  }
  const feed = {
    isRevoked: (_uid: string, generation: number) =>
      fake.least === undefined ? undefined : generation < fake.least,
  }
  return { fake, find: createAccountsClient(fake.client, feed, () => fake.now) }
}

t.test('an account is asked for once, and remembered', async (t) => {
  const { fake, find } = createFake()
  for (const _ of [1, 2, 3]) t.strictSame(await find(UID), facts)
  t.same(fake.asked, [`/internal/accounts/${UID}`])
})

t.test('nobody in particular is no account, and nobody is asked', async (t) => {
  const { fake, find } = createFake()
  t.equal(await find('anonymous'), undefined)
  t.same(fake.asked, [])
})

t.test('until the revocations name it', async (t) => {
  const { fake, find } = createFake()
  await find(UID)
  fake.least = 3
  fake.account = { ...facts, generation: 3, namespaces: [] }
  t.match(await find(UID), { generation: 3, namespaces: [] })
  t.match(await find(UID), { generation: 3 })
  t.equal(fake.asked.length, 2, 'the new one is remembered in turn')
})

t.test('or for a minute: revocations are not told for ever', async (t) => {
  const { fake, find } = createFake()
  await find(UID)
  fake.now += 59_999
  await find(UID)
  t.equal(fake.asked.length, 1)
  fake.now += 1
  await find(UID)
  t.equal(fake.asked.length, 2)
})

t.test('while nobody knows what was revoked, it is asked each time', async (t) => {
  const { fake, find } = createFake()
  fake.least = undefined
  for (const _ of [1, 2]) await find(UID)
  t.equal(fake.asked.length, 2)
})

t.test('one that is gone is undefined, and asked for again', async (t) => {
  const { fake, find } = createFake()
  fake.account = undefined
  t.equal(await find(UID), undefined)
  fake.account = facts
  t.strictSame(await find(UID), facts)
  fake.least = 3
  fake.account = undefined
  t.equal(await find(UID), undefined, 'also when it was remembered before')
})

t.test('auth-service being away is no word about an account', async (t) => {
  const { fake, find } = createFake()
  fake.away = true
  await t.rejects(find(UID), ServiceCallError)
  fake.away = false
  await find(UID)
  fake.away = true
  t.strictSame(await find(UID), facts, 'what is remembered goes on')
  fake.least = 3
  await t.rejects(find(UID), ServiceCallError, 'but not when it was revoked')
})

t.test('an id is one segment of the path', async (t) => {
  const { fake, find } = createFake()
  await find('../service-tokens?x')
  t.same(fake.asked, ['/internal/accounts/..%2Fservice-tokens%3Fx'])
})
