import { connectPostgres } from '@registry-manager/database'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import t from 'tap'
import { effectiveGrants } from '../../src/access/effective-grants-repository.ts'

t.test('10,000 grants and 1,000 groups are read by index lookups only', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  await sql`
    insert into accounts (username, directory, role, namespaces, password_hash)
    select 'user' || n, false, 'user', '{}', 'x' from generate_series(1, 2000) n`.execute(db)
  await sql`insert into groups (name) select 'group' || n from generate_series(1, 1000) n`.execute(db)
  await sql`
    insert into group_members (group_id, account_id, source)
    select groups.id, accounts.id, 'local' from groups join accounts
    on right(username, 2) = right(name, 2) and length(username) = 8 and length(name) = 8`.execute(db)
  await sql`
    insert into grants (namespace, group_id, repositories, role)
    select 'team', id, 'team/' || n, 'reader' from groups, generate_series(1, 5) n`.execute(db)
  await sql`
    insert into grants (namespace, account_id, repositories, role)
    select 'team', id, 'team/app' || n, 'developer' from accounts, generate_series(1, 5) n
    where length(username) <= 7`.execute(db)
  for (const table of ['accounts', 'groups', 'group_members', 'grants']) {
    await sql`analyze ${sql.table(table)}`.execute(db)
  }
  const find = (username: string) =>
    db.selectFrom('accounts').select(['id', effectiveGrants]).where('username', '=', username)
  const { rows } = await sql<{ 'QUERY PLAN': string }>`explain ${find('user1500')}`.execute(db)
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
  t.notMatch(plan, /Seq Scan on (?:grants|group_members|accounts)/, plan)
  t.equal((await find('user500').executeTakeFirstOrThrow()).grants.length, 5)
  t.equal((await find('user1500').executeTakeFirstOrThrow()).grants.length, 45, 'of nine groups')
})
