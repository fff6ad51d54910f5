import { sql } from 'kysely'
import t from 'tap'
import { restoreBackup } from '../src/backup/restore.ts'
import { writeBackup } from '../src/backup/write.ts'
import { connectPostgres } from '../src/connect.ts'
import { grantOwnership } from '../src/grant-ownership.ts'
import { migrateDown, migrateToLatest } from '../src/migrate.ts'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

const LOGIN = { role: 'services', password: "it's a secret" }

t.test('grantOwnership makes a role without privileges the owner of the database', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const superuser = connectPostgres(postgres.url)
  const services = connectPostgres(postgres.url.replace('registry@', 'services@'))
  t.teardown(() => Promise.all([superuser.destroy(), services.destroy()]))
  // The schema of an earlier version belongs to the superuser.
  await migrateToLatest(superuser)
  await grantOwnership(superuser, LOGIN)
  await grantOwnership(superuser, LOGIN)

  const { rows } = await sql`
    select rolsuper or rolcreaterole or rolcreatedb or rolreplication as privileged from pg_roles
    where rolname = current_user`.execute(services)
  t.same(rows, [{ privileged: false }])
  await t.rejects(sql`select pg_read_file('PG_VERSION')`.execute(services), /permission denied/)
  await t.rejects(sql`copy (select 1) to program 'true'`.execute(services), /permission denied|superuser/)
  const { rows: others } = await sql`
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and pg_get_userbyid(relowner) <> 'services'`.execute(
    superuser,
  )
  t.same(others, [])

  // The owner can change the schema, back up and restore.
  const out = new PassThrough()
  const [backup] = await Promise.all([buffer(out), writeBackup(services, out)])
  await migrateDown(services)
  await restoreBackup(services, Readable.from([backup]))
  t.same(await migrateToLatest(services), [])
})
