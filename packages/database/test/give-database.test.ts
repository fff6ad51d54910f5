import { sql } from 'kysely'
import t from 'tap'
import { restoreBackup } from '../src/backup/restore.ts'
import { writeBackup } from '../src/backup/write.ts'
import { connectPostgres } from '../src/connect.ts'
import { giveDatabase } from '../src/give-database.ts'
import { migrateDown, migrateToLatest } from '../src/migrate.ts'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

const LOGIN = { role: 'services', password: "it's a secret" }

t.test('a role that is no superuser owns the database', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const superuser = connectPostgres(postgres.url)
  const services = connectPostgres(postgres.url.replace('registry@', 'services@'))
  t.teardown(() => Promise.all([superuser.destroy(), services.destroy()]))
  // As it was before there was such a role.
  await migrateToLatest(superuser)
  await giveDatabase(superuser, LOGIN)
  await giveDatabase(superuser, LOGIN)

  const { rows } = await sql`
    select rolsuper or rolcreaterole or rolcreatedb or rolreplication as mighty from pg_roles
    where rolname = current_user`.execute(services)
  t.same(rows, [{ mighty: false }])
  await t.rejects(sql`select pg_read_file('PG_VERSION')`.execute(services), /permission denied/)
  await t.rejects(sql`copy (select 1) to program 'true'`.execute(services), /permission denied|superuser/)
  const { rows: others } = await sql`
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and pg_get_userbyid(relowner) <> 'services'`.execute(
    superuser,
  )
  t.same(others, [])

  // Changes of the schema, a backup and a restore are its own to do.
  const out = new PassThrough()
  const [backup] = await Promise.all([buffer(out), writeBackup(services, out)])
  await migrateDown(services)
  await restoreBackup(services, Readable.from([backup]))
  t.same(await migrateToLatest(services), [])
})
