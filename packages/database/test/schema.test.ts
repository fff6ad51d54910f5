import { sql } from 'kysely'
import t from 'tap'
import { isUniqueViolation } from '../src/connect.ts'
import { onBothDatabases } from '@registry-manager/testing/both-databases'

const user = {
  username: 'alice',
  directory: false,
  role: 'user',
  password_hash: 'x',
  namespaces: [],
} as const
const ID = '00000000-0000-4000-8000-000000000000'

await onBothDatabases(t, async (t, db) => {
  const insert = (fields: object = {}) =>
    db
      .insertInto('accounts')
      .values({ ...user, namespaces: [], ...fields })
      .returningAll()
      .executeTakeFirstOrThrow()

  t.test('an account is returned as the table interface declares', async (t) => {
    const row = await insert({ namespaces: ['team', 'a"b,{c}'] })
    t.match(row, { ...user, namespaces: ['team', 'a"b,{c}'], enabled: true, generation: 1 })
    t.match(row.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/, 'a random UUID')
    t.ok(row.created_at instanceof Date && row.updated_at instanceof Date)
  })

  t.test('a taken username is a unique violation, an invalid role is not', async (t) => {
    const refused = await insert().catch((error: unknown) => error)
    t.equal(isUniqueViolation(refused), true)
    const wrong = await insert({ username: 'bob', role: 'king' }).catch((error: unknown) => error)
    t.ok(wrong instanceof Error)
    t.equal(isUniqueViolation(wrong), false)
  })

  t.test('the schema refuses inconsistent accounts', async (t) => {
    await t.rejects(insert({ username: 'bob', role: 'root' }), 'an unknown role')
    await t.rejects(insert({ username: 'bob', password_hash: null }), 'a local account without a password')
    await t.rejects(insert({ username: 'bob', directory: true }), 'a directory account with a password')
    await t.rejects(insert({ username: null }), 'an account without a name')
  })

  t.test('names are sorted in byte order, whatever the locale', async (t) => {
    for (const username of ['a_b', 'a-b', 'ab', 'a.b', 'a@b', 'zoe', '0']) await insert({ username })
    const rows = await db.selectFrom('accounts').select('username').orderBy('username').execute()
    t.same(
      rows.map((row) => row.username),
      ['0', 'a-b', 'a.b', 'a@b', 'a_b', 'ab', 'alice', 'zoe'],
    )
  })

  t.test('deleting an account deletes its refresh tokens and keeps its revocations', async (t) => {
    const { id: account_id } = await insert({ username: 'carol' })
    const token = { token_hash: Buffer.alloc(32, 7), account_id, generation: 1, service: 's', client_id: '' }
    const { token_hash } = await db
      .insertInto('refresh_tokens')
      .values(token)
      .returningAll()
      .executeTakeFirstOrThrow()
    t.ok(Buffer.isBuffer(token_hash) && token_hash.equals(token.token_hash), 'bytes are returned as a Buffer')
    await t.rejects(db.insertInto('refresh_tokens').values(token).execute(), 'a token is unique')
    await t.rejects(
      db
        .insertInto('refresh_tokens')
        .values({ ...token, token_hash: Buffer.alloc(32), account_id: ID })
        .execute(),
      'a token belongs to an account',
    )
    await db.insertInto('revocations').values({ account_id, least_generation: 2 }).execute()
    await db.deleteFrom('accounts').where('id', '=', account_id).execute()
    const counts = await sql<{ tokens: string; revocations: string }>`
      select (select count(*) from refresh_tokens) as tokens, (select count(*) from revocations) as revocations`
    t.match(await counts.execute(db), { rows: [{ tokens: '0', revocations: '1' }] })
  })
})
