import { createMetrics } from '@registry-manager/http'
import { connectPostgres } from '@registry-manager/database'
import { createHash, randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createHousekeeping } from '../src/housekeeping.ts'
import { createAccounts } from '../src/accounts/index.ts'
import { fakeHasher, planUser } from './fixtures/accounts.ts'

const [MINUTE, DAY] = [60_000, 86_400_000]

const silent = { info: () => undefined, warn: () => undefined }
const ago = (ms: number) => new Date(Date.now() - ms)
const hashOf = (text: string) => createHash('sha256').update(text).digest()

await onBothDatabases(t, async (t, db) => {
  const metrics = createMetrics('auth-service')
  const housekeeping = createHousekeeping({ db, now: Date.now, metrics, auditDays: 30, log: silent })
  const created = await createAccounts(db, fakeHasher).create(planUser('alice'))
  if ('refused' in created) throw new Error(created.refused)
  const account_id = created.user.id

  t.test('housekeeping removes only expired rows', async (t) => {
    const failure = (name: string, cleared: number) => ({
      key: hashOf(name),
      failed_at: ago(DAY),
      clears_at: ago(cleared),
    })
    await db
      .insertInto('sign_in_failures')
      .values([failure('old', MINUTE), failure('new', -MINUTE)])
      .execute()
    const revocation = (age: number) => ({
      account_id: randomUUID(),
      least_generation: 2,
      revoked_at: ago(age),
    })
    await db
      .insertInto('revocations')
      .values([revocation(25 * 60 * MINUTE), revocation(3 * 60 * MINUTE)])
      .execute()
    const token = (name: string, age: number) => ({
      token_hash: hashOf(name),
      account_id,
      generation: 1,
      service: 's',
      client_id: '',
      used_at: ago(age),
    })
    await db
      .insertInto('refresh_tokens')
      .values([token('old', 90.1 * DAY), token('new', 89.9 * DAY)])
      .execute()
    const address = (address: string, age: number) => ({ account_id, address, seen_at: ago(age) })
    await db
      .insertInto('known_addresses')
      .values([address('192.0.2.1', 91 * DAY), address('192.0.2.2', 89 * DAY)])
      .execute()

    const personalToken = (name: string, age: number | null) => ({
      account_id,
      name,
      secret_hash: hashOf(name),
      ...(age !== null && { expires_at: ago(age) }),
    })
    await db
      .insertInto('personal_tokens')
      .values([personalToken('old', 31 * DAY), personalToken('new', 29 * DAY), personalToken('never', null)])
      .execute()

    const event = (age: number) => ({
      time: ago(age),
      action: 'user.delete',
      outcome: 'done',
      principal_kind: 'user',
      target: '{}',
      detail: '{}',
    })
    await db.deleteFrom('events').execute()
    await db
      .insertInto('events')
      .values([event(30.1 * DAY), event(29.9 * DAY)])
      .execute()

    const session = (name: string, expired: number) => ({
      token_hash: hashOf(name),
      account_id,
      generation: 1,
      expires_at: ago(expired),
    })
    await db
      .insertInto('browser_sessions')
      .values([session('old', MINUTE), session('new', -MINUTE)])
      .execute()
    const attempt = (name: string, expired: number) => ({
      state_hash: hashOf(name),
      browser_hash: hashOf(name),
      provider: 'corp',
      nonce: 'n',
      code_verifier: 'v',
      return_to: null,
      expires_at: ago(expired),
    })
    await db
      .insertInto('provider_sign_ins')
      .values([attempt('old', MINUTE), attempt('new', -MINUTE)])
      .execute()
    const device = (name: string, expired: number) => ({
      device_code_hash: hashOf(name),
      user_code: name,
      client_name: 'laptop',
      address: '192.0.2.7',
      interval_seconds: 5,
      expires_at: ago(expired),
    })
    await db
      .insertInto('device_authorizations')
      .values([device('old', 61 * MINUTE), device('new', 59 * MINUTE)])
      .execute()
    const logout = (jti: string, expired: number) => ({ issuer: 'i', jti, expires_at: ago(expired) })
    await db
      .insertInto('provider_logouts')
      .values([logout('old', 61 * MINUTE), logout('new', 59 * MINUTE)])
      .execute()

    const one = {
      sign_in_failures: 1,
      revocations: 1,
      refresh_tokens: 1,
      browser_sessions: 1,
      device_authorizations: 1,
      provider_sign_ins: 1,
      provider_logouts: 1,
      known_addresses: 1,
      personal_tokens: 1,
      events: 1,
    }
    t.same(await housekeeping.run(), one)
    const none = Object.fromEntries(Object.keys(one).map((table) => [table, 0]))
    t.same(await housekeeping.run(), none, 'other rows stay')
    for (const table of Object.keys(one) as (keyof typeof one)[]) {
      const { rows } = await sql<{ count: string }>`select count(*) from ${sql.table(table)}`.execute(db)
      t.equal(Number(rows[0]?.count), table === 'personal_tokens' ? 2 : 1, table)
    }
    t.match(await metrics.registry.metrics(), /housekeeping_removed_rows_total\{table="revocations",.*\} 1/)
  })

  t.test('with AUDIT_DAYS=0 events of any age stay', async (t) => {
    await db
      .insertInto('events')
      .values({
        time: ago(10_000 * DAY),
        action: 'push',
        outcome: 'done',
        principal_kind: 'user',
        target: '{}',
        detail: '{}',
      })
      .execute()
    const forever = createHousekeeping({
      db,
      now: Date.now,
      metrics: createMetrics('auth-service'),
      auditDays: 0,
      log: silent,
    })
    t.notMatch(await forever.run(), { events: Number })
    t.match(await housekeeping.run(), { events: 1 }, 'it would be removed otherwise')
  })

  t.test('a run removes a bounded number of rows; the next run removes the rest', async (t) => {
    await sql`insert into revocations (account_id, least_generation, revoked_at)
      select gen_random_uuid(), 2, now() - interval '2 days' from generate_series(1, 20500)`.execute(db)
    t.match(await housekeeping.run(), { revocations: 20_000 })
    t.match(await housekeeping.run(), { revocations: 500 })
    t.match(await housekeeping.run(), { revocations: 0 })
  })
})

t.test('one of several replicas at a time does the housekeeping', async (t) => {
  const { startMigratedPostgres } = await import('@registry-manager/testing/real-postgres')
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const make = () =>
    createHousekeeping({
      db,
      now: Date.now,
      metrics: createMetrics('auth-service'),
      auditDays: 365,
      log: silent,
    })
  await sql`insert into revocations (account_id, least_generation, revoked_at)
    select gen_random_uuid(), 2, now() - interval '2 days' from generate_series(1, 300)`.execute(db)

  await t.test('a replica does nothing while another one has the lock', async (t) => {
    let free: () => void = () => undefined
    const held = new Promise<void>((resolve) => (free = resolve))
    const holding = db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(7264801128)`.execute(tx)
      t.same(await make().run(), {})
      await held
    })
    free()
    await holding
    t.match(await make().run(), { revocations: 300 })
  })

  await t.test('a run fails while the database is unavailable, and works once it is back', async (t) => {
    const one = make()
    await postgres.stop()
    await t.rejects(one.run())
    await postgres.start()
    t.match(await one.run(), { revocations: 0 })
  })
})
