import { sql } from 'kysely'
import t from 'tap'
import { openPglite } from '../pglite.ts'

t.test('PGlite keeps its data when it is reopened', async (t) => {
  const folder = t.testdir()
  const first = await openPglite(folder)
  await sql`create table things (name text)`.execute(first)
  await sql`insert into things values ('one')`.execute(first)
  await first.destroy()
  const second = await openPglite(folder)
  t.teardown(() => second.destroy())
  t.match(await sql`select * from things`.execute(second), { rows: [{ name: 'one' }] })
  const { rows } = await sql<{ bytes: Buffer }>`select '\\x00ff'::bytea as bytes`.execute(second)
  t.strictSame(rows[0]?.bytes, Buffer.from([0, 255]), 'bytea values are Buffers, as with pg')
})
