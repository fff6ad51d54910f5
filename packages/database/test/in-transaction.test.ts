import { startPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import t from 'tap'
import { connectPostgres } from '../src/connect.ts'
import { inTransaction } from '../src/in-transaction.ts'

t.test('transactions that wait for each other both succeed', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  await sql`create table counters (id text primary key, value integer not null)`.execute(db)
  await sql`insert into counters values ('a', 0), ('b', 0)`.execute(db)
  const bothLocked = Promise.withResolvers<void>()
  let locked = 0
  let runs = 0
  const add = (first: string, second: string) =>
    inTransaction(db, async (tx) => {
      runs += 1
      await sql`update counters set value = value + 1 where id = ${first}`.execute(tx)
      locked += 1
      if (locked === 2) bothLocked.resolve()
      await bothLocked.promise
      await sql`update counters set value = value + 1 where id = ${second}`.execute(tx)
    })
  await Promise.all([add('a', 'b'), add('b', 'a')])
  const { rows } = await sql<{ value: number }>`select value from counters`.execute(db)
  t.same(
    rows.map(({ value }) => value),
    [2, 2],
    'each change has happened once',
  )
  t.equal(runs, 3, 'one transaction ran again')
})

t.test('inTransaction throws other errors than deadlocks at once', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  let runs = 0
  const failing = inTransaction(db, async (tx) => {
    runs += 1
    await sql`select 1 / 0`.execute(tx)
  })
  await t.rejects(failing, { message: 'division by zero' })
  t.equal(runs, 1)
})
