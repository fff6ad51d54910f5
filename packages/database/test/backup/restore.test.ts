import { randomBytes } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { KyselyPlugin } from 'kysely'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { restoreBackup } from '../../src/backup/restore.ts'
import { readSequences, readTables } from '../../src/backup/tables.ts'
import { writeBackup } from '../../src/backup/write.ts'
import type { Database } from '../../src/connect.ts'
import { MIGRATING, connectPostgres } from '../../src/connect.ts'
import { finishedMigrations, migrateDown, migrateToLatest } from '../../src/migrate.ts'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startPostgres } from '@registry-manager/testing/real-postgres'

const MANIFESTS = 130
const MIB = 1 << 20
const DIGEST = `sha256:${'a'.repeat(64)}`

/** Fills columns of every type. */
async function fill(db: Database): Promise<void> {
  const { id } = await db
    .insertInto('accounts')
    .values({
      username: 'ünïcode "quoted" \\ \n',
      directory: false,
      role: 'user',
      namespaces: ['team', 'a/b'],
      password_hash: '$argon2id$…',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await db
    .insertInto('accounts')
    .values({
      username: 'directory-user',
      directory: true,
      role: 'administrator',
      namespaces: [],
      password_hash: null,
    })
    .execute()
  await db
    .insertInto('refresh_tokens')
    .values({
      token_hash: randomBytes(32),
      account_id: id,
      generation: 1,
      service: 's',
      client_id: 'c',
      used_at: '2026-11-21T12:00:00.123456+02:00',
    })
    .execute()
  await db.insertInto('revocations').values({ account_id: id, least_generation: 2 }).execute()
  await db
    .insertInto('events')
    .values({
      time: '2026-11-21T12:00:00.123456+02:00',
      action: 'user.update',
      outcome: 'done',
      principal_kind: 'user',
      principal_id: id,
      target: JSON.stringify({ kind: 'user', name: 'jane' }),
      detail: JSON.stringify({ namespaces: { from: [], to: ['ключ'] } }),
    })
    .execute()
  const repository = await db
    .insertInto('repositories')
    .values({ name: 'team/app', scope: 'global' })
    .returning('id')
    .executeTakeFirstOrThrow()
  // More than one batch.
  const manifests = Array.from({ length: MANIFESTS }, (_, number) => ({
    repository_id: repository.id,
    digest: `${DIGEST.slice(0, -4)}${String(number).padStart(4, '0')}`,
    media_type: 'application/vnd.oci.image.manifest.v1+json',
    artifact_type: null,
    subject: null,
    annotations: number === 0 ? JSON.stringify({ line: 'one\ntwo', ключ: '\u2028' }) : null,
    raw: number === 1 ? randomBytes(1 << 20) : Buffer.from(`{"number": ${number}}\n`),
  }))
  await db.insertInto('manifests').values(manifests).execute()
  const digest = `${DIGEST.slice(0, -4)}0000`
  await db.insertInto('tags').values({ repository_id: repository.id, name: 'latest', digest }).execute()
  await db
    .insertInto('manifest_references')
    .values({ repository_id: repository.id, manifest_digest: digest, digest: DIGEST, kind: 'layer' })
    .execute()
}

async function backupOf(db: Database): Promise<Buffer> {
  const out = new PassThrough()
  const [bytes] = await Promise.all([buffer(out), writeBackup(db, out)])
  return bytes
}

/** The same contents, but the collection of unreferenced data starts again. */
function restarted(contents: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const rows = contents['collection'] as readonly string[]
  return { ...contents, collection: rows.map((row) => row.replace('"database":null', '"database":""')) }
}

/** The contents of a database, by table. */
async function contentsOf(db: Database): Promise<Record<string, unknown>> {
  const contents: Record<string, unknown> = { sequences: await readSequences(db) }
  for (const { name } of await readTables(db)) {
    const all = sql<{ row: string }>`select row_to_json(t)::text as row from ${sql.table(name)} t order by 1`
    contents[name] = (await all.execute(db)).rows.map(({ row }) => row)
  }
  return contents
}

/** Starts a Postgres with this many empty databases; undefined where no Postgres is available. */
async function postgresDatabases(t: Test, count: number): Promise<Database[] | undefined> {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return undefined
  const connect = (url: string) => {
    const db = connectPostgres(url, MIGRATING)
    t.teardown(() => db.destroy())
    return db
  }
  const main = connect(postgres.url)
  const names = Array.from({ length: count }, (_, number) => `db${number}`)
  for (const name of names) await sql`create database ${sql.table(name)}`.execute(main)
  return names.map((name) => connect(postgres.url.replace(/[^/]+$/, name)))
}

async function isRestored(t: Test, source: Database, target: Database): Promise<void> {
  await migrateToLatest(source)
  await fill(source)
  const contents = await contentsOf(source)
  const backup = await backupOf(source)
  const rows = await restoreBackup(target, Readable.from([backup]))
  const restored = await contentsOf(target)
  t.same(restored, restarted(contents))
  t.equal(rows, Object.values(restored).flat().length - (await readSequences(target)).length)
  t.same(await finishedMigrations(target), await finishedMigrations(source))
  t.notOk('manifests' in contents, 'views are not backed up')
  for (const table of ['accounts', 'all_manifests', 'tags', 'refresh_tokens', 'revocations', 'events']) {
    t.ok((contents[table] as unknown[]).length > 0, `with ${table} in it`)
  }
  await t.rejects(restoreBackup(target, Readable.from([backup])), /already holds accounts/)
  t.same(await contentsOf(target), restored, 'a refused second restore changes nothing')
  const { id } = await target.selectFrom('events').select('id').executeTakeFirstOrThrow()
  const event = { action: 'push', outcome: 'done', principal_kind: 'user', target: '{}', detail: '{}' }
  const next = await target.insertInto('events').values(event).returning('id').executeTakeFirstOrThrow()
  t.ok(Number(next.id) > Number(id), 'new rows get new ids')
}

t.test('a backup is restored completely, between PGlite and Postgres in every direction', async (t) => {
  await t.test('from PGlite into PGlite', async (t) => {
    await isRestored(t, await pgliteForTest(t), await pgliteForTest(t))
  })
  const [one, other, third] = (await postgresDatabases(t, 3)) ?? []
  if (one === undefined || other === undefined || third === undefined) return
  await t.test('from PGlite into Postgres', async (t) => isRestored(t, await pgliteForTest(t), one))
  await migrateDown(one)
  await t.test('from Postgres into PGlite', async (t) => isRestored(t, other, await pgliteForTest(t)))
  await migrateDown(other)
  await t.test('from Postgres into a Postgres without a schema', async (t) => isRestored(t, one, third))
})

t.test('a backup of an earlier version is migrated to this version', async (t) => {
  const earlier = await pgliteForTest(t)
  const migrations = await finishedMigrations(earlier)
  await restoreBackup(earlier, Readable.from([gzipSync(`${header(['2026-11-21-accounts'])}\nend 0\n`)]))
  t.same(await finishedMigrations(earlier), migrations)
})

const header = (migrations: readonly string[]) =>
  JSON.stringify({ format: 'registry-manager backup 1', at: '', migrations })

t.test('an invalid backup is refused and leaves the database empty', async (t) => {
  const source = await pgliteForTest(t)
  await fill(source)
  const backup = await backupOf(source)
  const lines = gunzipSync(backup).toString().split('\n')
  const zip = (text: readonly string[]) => gzipSync(text.join('\n'))
  const bad: readonly (readonly [string, Buffer, RegExp])[] = [
    ['an empty file', Buffer.alloc(0), /truncated|not a backup/],
    ['text', Buffer.from('some text'), /not a backup/],
    ['another gzip file', gzipSync('{}'), /not a backup/],
    ['half a backup', backup.subarray(0, backup.length / 2), /truncated/],
    ['a backup without its end line', zip(lines.slice(0, -2)), /truncated/],
    ['a backup that lacks a row', zip(lines.toSpliced(2, 1)), /has \d+ rows; its end line says \d+/],
    ['a backup of a later version', zip([header(['9999-12-31-later'])]), /later version.*9999/],
    [
      'a backup with a system table',
      zip([lines[0]!, 'row pg_authid {}', 'end 1']),
      /unknown table: pg_authid/,
    ],
    ['a backup with two ends', zip([...lines.slice(0, -1), 'end 0', '']), /continues after its end/],
    ['a backup with SQL in it', zip([lines[0]!, 'drop table accounts']), /unrecognized line/],
  ]
  const target = await pgliteForTest(t)
  for (const [name, bytes, reason] of bad) {
    await t.rejects(restoreBackup(target, Readable.from([bytes])), { message: reason }, name)
    for (const table of ['accounts', 'manifests'] as const) {
      t.same(await target.selectFrom(table).selectAll().execute(), [], `no ${table} of ${name}`)
    }
  }
  await restoreBackup(target, Readable.from([backup]))
  t.same(
    await contentsOf(target),
    restarted(await contentsOf(source)),
    'a valid backup is restored afterwards',
  )
})

t.test('a backup is a snapshot: rows that are deleted while it is written are in it', async (t) => {
  const [db] = (await postgresDatabases(t, 1)) ?? []
  if (db === undefined) return
  await migrateToLatest(db)
  await fill(db)
  const out = new PassThrough({ highWaterMark: 1 })
  const writing = writeBackup(db, out)
  const first = await new Promise<Buffer>((resolve) =>
    out.once('data', (chunk: Buffer) => {
      // Otherwise what follows would be lost until it is read below.
      out.pause()
      resolve(chunk)
    }),
  )
  await db.deleteFrom('repositories').execute()
  const rest = await buffer(out)
  await writing
  const text = gunzipSync(Buffer.concat([first, rest])).toString()
  t.equal(text.match(/^row all_manifests /gm)?.length, MANIFESTS, 'deleted manifests')
  t.match(text, /^row all_repositories /m)
})

t.test('a backup reads large manifests in small batches', async (t) => {
  const db = await pgliteForTest(t)
  const { id } = await db
    .insertInto('repositories')
    .values({ name: 'team/large' })
    .returning('id')
    .executeTakeFirstOrThrow()
  // Generated in the database: inserting them from here would take long.
  await sql`
    insert into manifests (repository_id, digest, media_type, raw)
    select ${id}, ${DIGEST.slice(0, -2)} || 10 + number, 'application/vnd.oci.image.index.v1+json',
      decode(repeat(md5(number::text), (4 << 16) - number), 'hex')
    from generate_series(0, 7) number`.execute(db)
  const sizes: number[] = []
  const recordSizes: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      sizes.push(JSON.stringify(result.rows).length)
      return result
    },
  }
  const backup = await backupOf(db.withPlugin(recordSizes))
  // Five manifests in hexadecimal digits, with the JSON around them.
  t.ok(Math.max(...sizes) < 5 * 2 * 4 * MIB + MIB, `at most ${Math.max(...sizes)} characters in a batch`)
  const target = await pgliteForTest(t)
  await restoreBackup(target, Readable.from([backup]))
  const digests = sql<{ hash: string }>`select sha512 as hash from manifests order by digest`
  const { rows } = await digests.execute(target)
  t.equal(rows.length, 8)
  t.same(rows, (await digests.execute(db)).rows)
})

t.test('a database without a schema is not backed up', async (t) => {
  const db = await pgliteForTest(t)
  await migrateDown(db)
  await sql`drop table kysely_migration`.execute(db)
  await t.rejects(backupOf(db), /nothing to back up/)
})
