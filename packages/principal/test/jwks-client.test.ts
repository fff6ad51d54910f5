import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import type { ServiceClient } from '@registry-manager/http'
import { createJwksClient } from '../src/jwks-client.ts'

/** A key as auth-service publishes it (JWK) and as the verifier needs it (PEM). */
function makeKey(kid: string) {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  return { pem, jwk: { kid, kty: 'EC', crv: 'P-256', x, y } }
}

const [first, second] = [makeKey('AAAA:BBBB'), makeKey('CCCC:DDDD')]

/** A fake auth-service that counts requests. */
function createFake() {
  const fake = {
    published: [first.jwk] as object[],
    isDown: false,
    requests: 0,
    now: 1_000_000,
    client: {
      get: async () => {
        fake.requests += 1
        await new Promise((resolve) => setImmediate(resolve))
        if (fake.isDown) throw new Error('auth-service is unavailable')
        return { keys: fake.published }
      },
      post: () => Promise.reject(new Error('unexpected POST')),
    } as unknown as ServiceClient,
  }
  return fake
}

t.test('a known key is fetched once and returned as PEM', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  t.equal(fake.requests, 0, 'no request before the first use')
  t.equal(await findKey('AAAA:BBBB'), first.pem)
  fake.now += 299_999
  t.equal(await findKey('AAAA:BBBB'), first.pem)
  t.equal(createPublicKey(first.pem).asymmetricKeyType, 'ec')
  t.equal(fake.requests, 1)
})

t.test('unknown key ids cause one request a second at most', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  for (const kid of ['x', 'y', 'z', '__proto__', 'constructor', '']) t.equal(await findKey(kid), undefined)
  t.equal(fake.requests, 1)
  fake.now += 999
  t.equal(await findKey('x'), undefined)
  t.equal(fake.requests, 1)
  fake.now += 1
  t.equal(await findKey('x'), undefined)
  t.equal(fake.requests, 2)
})

t.test('a key that is published later is found after a second', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  t.equal(await findKey('CCCC:DDDD'), undefined)
  fake.published = [second.jwk]
  fake.now += 1000
  t.equal(await findKey('CCCC:DDDD'), second.pem)
  t.equal(await findKey('AAAA:BBBB'), undefined, 'a withdrawn key is gone')
})

t.test('concurrent callers share one request for keys', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  const found = await Promise.all(['AAAA:BBBB', 'AAAA:BBBB', 'x', 'AAAA:BBBB'].map((kid) => findKey(kid)))
  t.same(found, [first.pem, first.pem, undefined, first.pem])
  t.equal(fake.requests, 1)
})

t.test(
  'while auth-service is unavailable, known keys stay valid and unknown ones are an error',
  async (t) => {
    const fake = createFake()
    const findKey = createJwksClient(fake.client, () => fake.now)
    fake.isDown = true
    await t.rejects(findKey('AAAA:BBBB'), { message: 'auth-service is unavailable' }, 'no keys were loaded')
    const ends = await Promise.allSettled([findKey('AAAA:BBBB'), findKey('x')])
    t.same(
      ends.map(({ status }) => status),
      ['rejected', 'rejected'],
      'all callers of a shared request get its error',
    )
    fake.isDown = false
    t.equal(await findKey('AAAA:BBBB'), first.pem, 'the next call succeeds')
    fake.isDown = true
    fake.now += 60_000
    await t.rejects(findKey('CCCC:DDDD'), { message: 'auth-service is unavailable' })
    t.equal(await findKey('AAAA:BBBB'), first.pem, 'a known key stays valid')
  },
)

t.test('a withdrawn key is trusted for five minutes at most', async (t) => {
  const fake = createFake()
  const findKey = createJwksClient(fake.client, () => fake.now)
  t.equal(await findKey('AAAA:BBBB'), first.pem)
  fake.published = [second.jwk]
  fake.now += 300_000
  const found = await Promise.all(['AAAA:BBBB', 'AAAA:BBBB', 'CCCC:DDDD'].map((kid) => findKey(kid)))
  t.same(found, [undefined, undefined, second.pem], 'also by concurrent callers')
  t.equal(fake.requests, 2)
})

t.test(
  'while auth-service is unavailable, old keys stay valid and a refresh is tried every ten seconds',
  async (t) => {
    const fake = createFake()
    const findKey = createJwksClient(fake.client, () => fake.now)
    t.equal(await findKey('AAAA:BBBB'), first.pem)
    fake.isDown = true
    fake.now += 86_400_000
    for (const _ of [1, 2, 3]) t.equal(await findKey('AAAA:BBBB'), first.pem)
    t.equal(fake.requests, 2)
    fake.now += 9999
    t.equal(await findKey('AAAA:BBBB'), first.pem)
    t.equal(fake.requests, 2)
    fake.isDown = false
    fake.published = [second.jwk]
    fake.now += 1
    t.equal(await findKey('AAAA:BBBB'), undefined, 'auth-service has withdrawn the key')
    t.equal(fake.requests, 3)
  },
)
