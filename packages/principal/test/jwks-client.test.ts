import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import type { ServiceClient } from '@registry-manager/http'
import { createJwksClient } from '../src/jwks-client.ts'

/** A key as auth-service shows it, and as the verifier needs it. */
function makeKey(kid: string) {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  return { pem, jwk: { kid, kty: 'EC', crv: 'P-256', x, y } }
}

const [first, second] = [makeKey('AAAA:BBBB'), makeKey('CCCC:DDDD')]

/** An auth-service that counts how often it is asked. */
function createFake() {
  const fake = {
    published: [first.jwk] as object[],
    away: false,
    asked: 0,
    now: 1_000_000,
    client: {
      get: async () => {
        fake.asked += 1
        await new Promise((resolve) => setImmediate(resolve))
        if (fake.away) throw new Error('auth-service is away')
        return { keys: fake.published }
      },
      post: () => Promise.reject(new Error('nobody posts here')),
    } as unknown as ServiceClient,
  }
  return fake
}

t.test('a known key is asked for once, as PEM', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  t.equal(fake.asked, 0, 'and not before it is wanted')
  t.equal(await findKey('AAAA:BBBB'), first.pem)
  fake.now += 299_999
  t.equal(await findKey('AAAA:BBBB'), first.pem)
  t.equal(createPublicKey(first.pem).asymmetricKeyType, 'ec')
  t.equal(fake.asked, 1)
})

t.test('made-up key ids are looked for once a second', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  for (const kid of ['x', 'y', 'z', '__proto__', 'constructor', '']) t.equal(await findKey(kid), undefined)
  t.equal(fake.asked, 1)
  fake.now += 999
  t.equal(await findKey('x'), undefined)
  t.equal(fake.asked, 1)
  fake.now += 1
  t.equal(await findKey('x'), undefined)
  t.equal(fake.asked, 2)
})

t.test('a key that is published later is found', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  t.equal(await findKey('CCCC:DDDD'), undefined)
  fake.published = [second.jwk]
  fake.now += 1000
  t.equal(await findKey('CCCC:DDDD'), second.pem)
  t.equal(await findKey('AAAA:BBBB'), undefined, 'and one that was withdrawn is gone')
})

t.test('those who ask at once share one answer', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  const found = await Promise.all(['AAAA:BBBB', 'AAAA:BBBB', 'x', 'AAAA:BBBB'].map((kid) => findKey(kid)))
  t.same(found, [first.pem, first.pem, undefined, first.pem])
  t.equal(fake.asked, 1)
})

t.test('while auth-service is away', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  fake.away = true
  await t.rejects(findKey('AAAA:BBBB'), { message: 'auth-service is away' }, 'nobody knows about a key')
  const asked = await Promise.allSettled([findKey('AAAA:BBBB'), findKey('x')])
  t.same(
    asked.map(({ status }) => status),
    ['rejected', 'rejected'],
    'those who wait together learn it too',
  )
  fake.away = false
  t.equal(await findKey('AAAA:BBBB'), first.pem, 'it is found as soon as it can be')
  fake.away = true
  fake.now += 60_000
  await t.rejects(findKey('CCCC:DDDD'), { message: 'auth-service is away' })
  t.equal(await findKey('AAAA:BBBB'), first.pem, 'what is known stays known')
})

t.test('a key that was withdrawn is not trusted for longer than five minutes', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  t.equal(await findKey('AAAA:BBBB'), first.pem)
  fake.published = [second.jwk]
  fake.now += 300_000
  const found = await Promise.all(['AAAA:BBBB', 'AAAA:BBBB', 'CCCC:DDDD'].map((kid) => findKey(kid)))
  t.same(found, [undefined, undefined, second.pem], 'nor by those who ask at the same time')
  t.equal(fake.asked, 2)
})

t.test('while auth-service is away the last known keys hold, and it is not asked all the time', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  t.equal(await findKey('AAAA:BBBB'), first.pem)
  fake.away = true
  fake.now += 86_400_000
  for (const _ of [1, 2, 3]) t.equal(await findKey('AAAA:BBBB'), first.pem)
  t.equal(fake.asked, 2)
  fake.now += 9999
  t.equal(await findKey('AAAA:BBBB'), first.pem)
  t.equal(fake.asked, 2)
  fake.away = false
  fake.published = [second.jwk]
  fake.now += 1
  t.equal(await findKey('AAAA:BBBB'), undefined, 'until it is back')
  t.equal(fake.asked, 3)
})
