import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import t from 'tap'
import type { TrustRule } from '../../src/federation/trust-rule.ts'
import { createWorkloadSignIn } from '../../src/federation/workload-sign-in.ts'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'
import type { Freshness } from '../../src/sign-in/sign-in.ts'
import { AUDIENCE, ruleFor } from '../fixtures/trust-rules.ts'

class Unavailable extends Error {}

const ISSUER = 'https://issuer.example'
const ID = '7c6f0d5e-54b5-4c1e-a7a0-5d4d2f7a3a11'
const NOW = Date.UTC(2027, 0, 1)
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const sign = (seconds: number) =>
  new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'job', repository: 'acme/app', ref: 'refs/heads/main' })
    .setProtectedHeader({ alg: 'ES256' })
    .setExpirationTime(NOW / 1000 + seconds)
    .sign(privateKey)

function build() {
  const rule: TrustRule = {
    ...ruleFor(ISSUER),
    id: ID,
    namespace: 'team',
    generation: 1,
    conditions: undefined,
    jwks: { keys: [publicKey.export({ format: 'jwk' })] },
    createdAt: new Date(NOW),
    createdBy: 'root',
    updatedAt: new Date(NOW),
  }
  const world = { now: NOW, rules: [rule], queries: 0, least: 0, isListFresh: true, isAway: false }
  const method = createWorkloadSignIn({
    ownIssuer: 'registry.example',
    async findRules() {
      world.queries += 1
      if (world.isAway) throw new Unavailable()
      return world.rules
    },
    findIssuerKey: async () => {
      throw new Error('the rule has its own keys')
    },
    isUnavailable: (error) => error instanceof Unavailable,
    isRevoked: ({ generation }) => generation < world.least,
    isUnchanged: ({ generation }) => world.isListFresh && generation >= world.least,
    cache: createCredentialCache({
      key: Buffer.alloc(32, 1),
      now: () => world.now,
      maxAgeMs: 900_000,
      maxEntries: 100,
    }),
    now: () => world.now,
  })
  const enter = (token: string, freshness: Freshness = 'recent') =>
    method.signIn('any-name', token, '10.0.0.1', freshness)
  return { world, method, enter }
}

t.test(
  'a verified token costs no query for a minute while the revocation list confirms its rule',
  async (t) => {
    const { world, enter } = build()
    const token = await sign(3600)
    for (let times = 0; times < 3; times += 1)
      t.match(await enter(token), { outcome: 'workload', offline: false })
    t.equal(world.queries, 1)
    await enter(token, 'current')
    t.equal(world.queries, 2, 'an identity token reads the rules')
    world.now += 60_000
    await enter(token)
    t.equal(world.queries, 3, 'after a minute')
    world.isListFresh = false
    await enter(token)
    t.equal(world.queries, 4, 'while the list is not fresh')
    world.isListFresh = true
    world.least = 2
    world.rules = []
    t.match(await enter(token), { outcome: 'refused', fault: 'untrusted' }, 'after the rule was deleted')
  },
)

t.test('while the database is unavailable a known token permits pulls until it expires', async (t) => {
  const { world, enter } = build()
  const [token, other] = [await sign(300), await sign(301)]
  await enter(token)
  world.isAway = true
  world.isListFresh = false
  t.match(await enter(token), { outcome: 'workload', offline: true, notAfter: NOW / 1000 + 300 })
  t.match(await enter(other), { outcome: 'unavailable', dependency: 'database' }, 'an unknown token')
  world.least = 2
  t.match(await enter(token), { outcome: 'refused' }, 'a rule that was revoked before')
  world.least = 0
  world.now += 300_000
  t.match(await enter(token), { outcome: 'refused', fault: 'expired' })
})

t.test('only tokens of other issuers are accepted as such', async (t) => {
  const { method } = build()
  t.equal(method.accepts('x', await sign(60)), true)
  const own = new SignJWT({ iss: 'registry.example' }).setProtectedHeader({ alg: 'ES256' })
  t.equal(method.accepts('x', await own.sign(privateKey)), false, 'our own access token')
  for (const password of ['a-password', 'rmt_0123', '', 'a.b.c'])
    t.equal(method.accepts('x', password), false)
})
