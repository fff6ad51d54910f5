import { startPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { SERVING, connectPostgres } from '../src/connect.ts'
import { inTransaction } from '../src/in-transaction.ts'
import { MAX_PREPARED, createStatements } from '../src/prepare-statements.ts'

/** A pool with one connection, and the prepared statements of that connection. */
async function connect(t: Test) {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return undefined
  const db = connectPostgres(postgres.url, SERVING, 1)
  t.teardown(() => db.destroy())
  await sql`create table fruits (name text primary key)`.execute(db)
  await sql`insert into fruits values ('apple')`.execute(db)
  const prepared = async () => {
    const { rows } = await sql<{ statement: string }>`select statement from pg_prepared_statements`.execute(
      db,
    )
    return rows.map(({ statement }) => statement)
  }
  return { url: postgres.url, db, prepared }
}

t.test('a statement with parameters is prepared at its third execution', async (t) => {
  const connected = await connect(t)
  if (connected === undefined) return
  const { db, prepared } = connected
  const find = () => sql<{ name: string }>`select name from fruits where name = ${'apple'}`.execute(db)
  for (const statements of [[], [], ['select name from fruits where name = $1']]) {
    t.same((await find()).rows, [{ name: 'apple' }])
    t.same(await prepared(), statements)
  }
  t.same((await find()).rows, [{ name: 'apple' }])
  t.equal((await prepared()).length, 1, 'it is prepared once')
})

t.test(
  'pattern searches, long lists, inserts of several rows and statements without parameters are not prepared',
  async (t) => {
    const connected = await connect(t)
    if (connected === undefined) return
    const { db, prepared } = connected
    const many = sql.join(Array.from({ length: 900 }, () => sql`${'apple'}`))
    for (let execution = 0; execution < 5; execution += 1) {
      await sql`select name from fruits where name like ${'a%'}`.execute(db)
      await sql`select name from fruits where name in (${many})`.execute(db)
      await sql`select name from fruits where name = any(${Array.from({ length: 51 }, () => 'apple')})`.execute(
        db,
      )
      await sql`insert into fruits (name) values (${`a${execution}`}), (${`b${execution}`})`.execute(db)
      await sql`select name from fruits`.execute(db)
    }
    t.same(await prepared(), [])
  },
)

t.test('a connection holds a bounded number of prepared statements', async (t) => {
  const statements = createStatements()
  const names = new Set<string | undefined>()
  for (let execution = 0; execution < 3; execution += 1) {
    for (let text = 0; text < MAX_PREPARED * 2; text += 1) names.add(statements.nameOf(`select ${text}`))
  }
  names.delete(undefined)
  t.equal(names.size, MAX_PREPARED)
})

t.test('prepared statements go on working after a migration that adds a column', async (t) => {
  const connected = await connect(t)
  if (connected === undefined) return
  const { url, db, prepared } = connected
  const other = connectPostgres(url)
  t.teardown(() => other.destroy())
  const find = (on = db) => sql`select * from fruits where name = ${'apple'}`.execute(on)
  for (let execution = 0; execution < 3; execution += 1) await find()
  t.equal((await prepared()).length, 1)

  await sql`alter table fruits add column color text`.execute(other)
  t.same((await find()).rows, [{ name: 'apple', color: null }])
  t.same((await find()).rows, [{ name: 'apple', color: null }])

  await sql`alter table fruits add column weight integer`.execute(other)
  let runs = 0
  const found = await inTransaction(db, async (tx) => {
    runs += 1
    return (await find(tx)).rows
  })
  t.same(found, [{ name: 'apple', color: null, weight: null }])
  t.equal(runs, 2, 'the transaction ran again')
})
