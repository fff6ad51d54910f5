import type { Database } from '@registry-manager/database'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import { createStorageReportRepository } from '../../src/storage-report/storage-report-repository.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const digest = (name: string) => digestOf(Buffer.from(name))

/** Adds a repository with manifests of 10 bytes, each with layers of given sizes. */
async function addRepository(
  db: Database,
  name: string,
  manifests: Readonly<Record<string, Readonly<Record<string, number>>>>,
  state: 'recorded' | 'index-only' = 'recorded',
) {
  const { id } = await db
    .insertInto('all_repositories')
    .values({ name, pending: false })
    .returning('id')
    .executeTakeFirstOrThrow()
  for (const [manifest, layers] of Object.entries(manifests)) {
    await db
      .insertInto('all_manifests')
      .values({
        repository_id: id,
        digest: digest(manifest),
        media_type: 'x',
        raw: Buffer.from(manifest),
        size: 10,
        state,
      })
      .execute()
    for (const [layer, size] of Object.entries(layers))
      await db
        .insertInto('manifest_references')
        .values({
          repository_id: id,
          manifest_digest: digest(manifest),
          digest: digest(layer),
          kind: 'layer',
          size,
        })
        .execute()
  }
  return id
}

async function fill(db: Database) {
  await db.deleteFrom('all_repositories').execute()
  await addRepository(db, 'lone', { alone: { small: 3 } })
  await addRepository(db, 'team/app', { one: { base: 100, own: 20 }, two: { base: 100, other: 30 } })
  await addRepository(db, 'team/base', { root: { base: 100 } })
  await addRepository(db, 'team/kept', { kept: { apart: 7 } }, 'index-only')
  await addRepository(db, 'registry-manager-trash/1', { gone: { base: 100, rubbish: 50 } })
}

t.test('the deletion of a repository frees the bytes that no other repository has', async (t) => {
  await onBothDatabases(t, async (t, db) => {
    await fill(db)
    const report = createStorageReportRepository(db)
    const measured: Record<string, object> = {}
    for (const { id, name } of await report.listRepositories('', 100))
      measured[name] = await report.measureRepository(id, name)
    t.match(measured, {
      lone: { manifests: 1, bytes: 13, frees: 13 },
      'team/app': { manifests: 2, bytes: 170, frees: 70 },
      'team/base': { manifests: 1, bytes: 110, frees: 10 },
      'team/kept': { bytes: 17, frees: 7 },
    })
    t.same(await report.sumTrash(), { blobs: 2, bytes: 60 }, 'the manifest and one layer')
    await sql`
      insert into repository_blobs (repository, digest, announced_at)
      values ('team/other', ${digest('own')}, now()), ('team/other', ${digest('rubbish')}, now())`.execute(db)
    const [app] = await report.listRepositories('lone', 1)
    t.match(
      await report.measureRepository(app!.id, app!.name),
      { frees: 50 },
      'a blob that was mounted elsewhere',
    )
    t.same(await report.sumTrash(), { blobs: 1, bytes: 10 })
  })
})

t.test('cluster administrators read the report and its pages', async (t) => {
  const db = await databaseForTest(t)
  const { askFor, token, personalToken } = await startImageManager(t, db)
  const read = async (url: string) => (await askFor(url, { as: 'root' })).json()
  await fill(db)
  t.match(await read('/storage'), { repositories: 4, storage: null })
  await sql`
    insert into collection_listings (worker, leased_until, ended_at, stored_blobs, stored_bytes, known_blobs, known_bytes,
      unknown_blobs, unknown_bytes)
    values ('w', now(), now(), 11, 400, 10, 390, 1, 10)`.execute(db)
  t.match(await read('/storage'), {
    namespaces: 1,
    storage: {
      stored: { blobs: 11, bytes: 400 },
      known: { blobs: 8, bytes: 330 },
      trash: { blobs: 2, bytes: 60 },
      condemned: { blobs: 0, bytes: 0 },
      unknown: { blobs: 1, bytes: 10 },
      uploads: { count: 0, bytes: 0 },
    },
  })
  t.match(await read('/storage/namespaces'), { items: [{ namespace: 'team', repositories: 3 }], next: null })
  const first = await read('/storage/repositories?limit=2')
  t.match(first, { items: [{ repository: 'lone' }, { repository: 'team/app', frees: 70 }], next: 'team/app' })
  const second = await read(`/storage/repositories?limit=2&after=${encodeURIComponent(first.next)}`)
  t.match(second.items, [{ repository: 'team/base' }, { repository: 'team/kept' }])
  t.same((await read(`/storage/repositories?after=team%2Fkept`)).items, [])

  for (const url of ['/storage', '/storage/namespaces', '/storage/repositories']) {
    t.equal((await askFor(url)).statusCode, 401)
    for (const who of [
      { as: 'olga' as const },
      { as: 'alice' as const },
      { as: 'every-robot' as const },
      { bearer: token('root', [{ type: 'repository', name: 'team/app', actions: ['pull'] }]) },
      { bearer: personalToken('root', null) },
    ])
      t.equal((await askFor(url, who)).statusCode, 403, url)
  }
  for (const query of ['limit=0', 'limit=201', 'limit=x'])
    t.equal((await askFor(`/storage/repositories?${query}`, { as: 'root' })).statusCode, 400, query)
})
