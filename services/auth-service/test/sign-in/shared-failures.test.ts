import type { Database } from '@registry-manager/database'
import { connectPostgres, isDatabaseUnavailable } from '@registry-manager/database'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createSharedFailures } from '../../src/sign-in/shared-failures.ts'
import { createSignInFailuresRepository } from '../../src/sign-in/sign-in-failures-repository.ts'
import { createFailureMemory } from '../../src/sign-in/failure-memory.ts'
import { addFailure, delayMs, fullMs } from '../../src/sign-in/failure-rule.ts'

const RULE = { free: 3, baseMs: 1000, maxMs: 60_000, drainMs: 60_000 }
const SECRET = 'shared by the replicas'
const alice = { key: 'alice', rule: RULE }
const bob = { key: 'bob', rule: { ...RULE, drainMs: 5000 } }

const createFor = (db: Database, now: () => number) =>
  createSharedFailures({
    ...createSignInFailuresRepository(db),
    isUnavailable: isDatabaseUnavailable,
    memory: createFailureMemory(now, 100),
    secret: SECRET,
    now,
  })

await onBothDatabases(t, async (t, db) => {
  const clock = { now: Date.UTC(2026, 10, 28) }
  const now = () => clock.now
  const replica = () => createFor(db, now)
  t.beforeEach(async () => {
    await db.deleteFrom('sign_in_failures').execute()
  })

  t.test('replicas share their counts of failures, each key by its own rule', async (t) => {
    const [one, other] = [replica(), replica()]
    const expected = { alice: undefined, bob: undefined } as Record<
      string,
      ReturnType<typeof addFailure> | undefined
    >
    for (const turn of [one, other, one, one]) {
      await turn.add([alice, bob])
      for (const { key, rule } of [alice, bob]) expected[key] = addFailure(expected[key], rule, now())
      clock.now += 1000
    }
    await other.refresh([alice, bob])
    t.same({ alice: other.find('alice'), bob: other.find('bob') }, expected)
    const third = replica()
    t.equal(third.find('alice'), undefined, 'a replica knows no failures before a refresh')
    await third.refresh([alice])
    t.ok(delayMs(third.find('alice'), RULE, now()) > 0)
    t.equal(third.find('bob'), undefined)
  })

  const CASES = [
    ['failures at once', [0, 0, 0]],
    ['failures while the bucket drains', [0, 30_000, 90_000, 91_000]],
    ['a failure after the bucket has drained', [0, 0, 500_000]],
    ['more failures than fill a bucket', Array.from({ length: 40 }, () => 0)],
    ['a failure in a full bucket that has drained partly', [...Array.from({ length: 40 }, () => 0), 150_000]],
  ] as const

  t.test('the database counts failures as the rule of a single replica does', async (t) => {
    const repository = createSignInFailuresRepository(db)
    const rules = [RULE, { ...RULE, free: 1, drainMs: 5000 }]
    for (const [name, times] of CASES) {
      const keys = rules.map((rule) => Buffer.from(`${name}, ${rule.free} free`))
      let stored: object[] = []
      let expected: (ReturnType<typeof addFailure> | undefined)[] = rules.map(() => undefined)
      for (const passed of times) {
        const at = clock.now + passed
        expected = rules.map((rule, index) => addFailure(expected[index], rule, at))
        stored = await repository.add(
          rules.map((rule, index) => ({
            key: keys[index] as Buffer,
            failedAt: at,
            clearsAt: at + rule.drainMs,
            fullMs: fullMs(rule),
          })),
        )
      }
      t.same(
        stored,
        expected.map((failures, index) => ({ key: keys[index], ...failures })),
        name,
      )
    }
  })

  t.test('failed sign-ins that have drained do not count any more', async (t) => {
    await replica().add([alice])
    clock.now += 60_001
    const fresh = replica()
    await fresh.refresh([alice])
    t.equal(fresh.find('alice'), undefined)
    await fresh.add([alice])
    t.same(fresh.find('alice'), { failedAt: now(), clearsAt: now() + 60_000 })
  })

  t.test(
    'concurrent counts of the same keys by several replicas lose no failure and do not deadlock',
    async (t) => {
      const replicas = Array.from({ length: 8 }, replica)
      const adding = replicas.flatMap((one, at) => [
        one.add([alice, bob]),
        one.add(at % 2 ? [bob, alice] : [alice]),
      ])
      await Promise.all(adding)
      const fresh = replica()
      await fresh.refresh([alice, bob])
      t.equal(fresh.find('alice')?.clearsAt, now() + 16 * 60_000)
      t.equal(fresh.find('bob')?.clearsAt, now() + 12 * 5000)
    },
  )

  t.test('the table of failed sign-ins contains nothing that a user typed', async (t) => {
    const typed = { key: 'my-password-in-the-wrong-field', rule: RULE }
    await replica().add([typed])
    const { rows } = await sql<{ row: string }>`select f::text as row from sign_in_failures f`.execute(db)
    t.equal(rows.length, 1)
    t.notMatch(rows[0]?.row, typed.key)
    t.notMatch(rows[0]?.row, Buffer.from(typed.key).toString('hex'))
  })
})

t.test('failures are counted in memory while the database is unavailable', async (t) => {
  const db = connectPostgres('postgres://registry@127.0.0.1:1/postgres')
  t.teardown(() => db.destroy())
  const failures = createFor(db, Date.now)
  for (const _ of [1, 2, 3]) await failures.add([alice])
  await failures.refresh([alice])
  t.ok(delayMs(failures.find('alice'), RULE, Date.now()) > 0)
})
