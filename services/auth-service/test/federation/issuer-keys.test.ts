import { setImmediate as turn } from 'node:timers/promises'
import type { JSONWebKeySet } from 'jose'
import t from 'tap'
import { IssuerUnavailable, createIssuerKeys } from '../../src/federation/issuer-keys.ts'

const ISSUER = 'https://issuer.example'
const MINUTE = 60_000
const keySet = (...ids: string[]): JSONWebKeySet => ({ keys: ids.map((kid) => ({ kty: 'RSA', kid })) })

function build() {
  const world = {
    now: 0,
    published: keySet('one') as JSONWebKeySet | Error,
    requests: [] as string[],
    failures: [] as string[],
  }
  const find = createIssuerKeys({
    async fetchKeySet(issuer) {
      world.requests.push(issuer)
      await turn()
      if (world.published instanceof Error) throw world.published
      return world.published
    },
    now: () => world.now,
    onFailure: (issuer, error) => void world.failures.push(`${issuer}: ${(error as Error).message}`),
  })
  return { world, find }
}

t.test('the keys of an issuer are read once, also for concurrent callers', async (t) => {
  const { world, find } = build()
  await Promise.all([find(ISSUER, 'one'), find(ISSUER, 'one'), find(ISSUER, undefined)])
  world.now = 9 * MINUTE
  await find(ISSUER, 'one')
  t.strictSame(world.requests, [ISSUER])
  await find('https://other.example', 'one')
  t.strictSame(world.requests, [ISSUER, 'https://other.example'], 'each issuer has its own keys')
})

t.test('an unknown key id causes a request at most every 30 seconds', async (t) => {
  const { world, find } = build()
  await find(ISSUER, 'one')
  for (let attempt = 0; attempt < 10; attempt += 1) await find(ISSUER, `invented-${attempt}`)
  t.equal(world.requests.length, 1)
  world.now = 30_000
  world.published = keySet('one', 'two')
  await Promise.all([find(ISSUER, 'two'), find(ISSUER, 'two')])
  t.equal(world.requests.length, 2, 'a rotated key is found')
  await find(ISSUER, 'three')
  t.equal(world.requests.length, 2)
})

t.test('a request to an issuer that does not respond is repeated after five seconds', async (t) => {
  const { world, find } = build()
  world.published = new Error('no response')
  for (let attempt = 0; attempt < 5; attempt += 1) await t.rejects(find(ISSUER, 'one'), IssuerUnavailable)
  t.strictSame(world.failures, [`${ISSUER}: no response`], 'one request, whose failure is reported')
  world.now = 5000
  world.published = keySet('one')
  await find(ISSUER, 'one')
  t.equal(world.requests.length, 2)
})

t.test('known keys are refreshed in the background and stay in use for an hour', async (t) => {
  const { world, find } = build()
  await find(ISSUER, 'one')
  world.published = new Error('no response')
  for (world.now = 10 * MINUTE; world.now < 60 * MINUTE; world.now += MINUTE) {
    await find(ISSUER, 'one')
    await turn()
    await turn()
  }
  t.equal(world.requests.length, 51)
  await t.rejects(find(ISSUER, 'one'), IssuerUnavailable, 'a withdrawn key loses its trust')
})
