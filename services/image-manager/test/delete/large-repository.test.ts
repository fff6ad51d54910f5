import type { Database } from '@registry-manager/database'
import { MIGRATING, connectPostgres } from '@registry-manager/database'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { createContentsRepository } from '../../src/contents/contents-repository.ts'
import { finishDeletion } from '../../src/delete/delete-repositories.ts'
import { createStorageReportRepository } from '../../src/storage-report/storage-report-repository.ts'
import { emptyEntry } from '../../src/trash/empty-entry.ts'
import type { TrashEntry } from '../../src/trash/trash-entry.ts'
import { trashRepository } from '../../src/trash/trash-entry.ts'
import { repositoriesOf } from '../fixtures/index-and-registry.ts'
import { killed } from '../fixtures/memory-registry.ts'

/** Number of manifests of the repository. `LARGE_MANIFESTS=200000` is the size that the documentation names. */
const MANIFESTS = Number(process.env['LARGE_MANIFESTS'] ?? 3000)
/** Every third manifest has a tag. Each manifest references five blobs: three of its own, and two shared ones. */
const [TAGGED, OWN] = [3, 3]
/** A statement that takes 5 s is cancelled. */
const MAX_MS = 2500
/** Number of manifests that an interrupted deletion has not copied to the trash. */
const NOT_COPIED = 100

const NAME = 'team/large'

/** Loads a repository by a few statements. The triggers would take longer than the test. */
async function load(db: Database, name: string): Promise<void> {
  await sql`insert into all_repositories (name) values (${name})`.execute(db)
  await sql`
    insert into all_manifests (repository_id, digest, media_type, raw, size)
    select id, 'sha256:' || md5(${name} || at) || md5(at::text), case at % 10 when 0
        then 'application/vnd.oci.image.index.v1+json' else 'application/vnd.oci.image.manifest.v1+json' end,
      convert_to('{"schemaVersion": 2, "config": {}, "layers": [], "annotations": {"at": "' || at || '"}}', 'UTF8'), 300
    from generate_series(1, ${MANIFESTS}::int) at, all_repositories where name = ${name}`.execute(db)
  await sql`
    insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
    select repository_id, manifest.digest, 'sha256:' || case when layer > ${OWN}::int then md5(${name} || (layer +
        ascii(right(manifest.digest, 1)) % 5)) || md5('shared') else md5(manifest.digest || layer) || md5('own') end,
      'layer', 1000
    from all_manifests manifest join all_repositories on id = repository_id, generate_series(1, 5) layer
    where name = ${name}`.execute(db)
  await sql`
    insert into tags (repository_id, name, digest)
    select repository_id, 'build-' || row_number() over (order by digest), digest
    from all_manifests join all_repositories on id = repository_id
    where name = ${name} and ascii(right(digest, 1)) % ${TAGGED}::int = 0`.execute(db)
  await sql`
    insert into namespace_usage (namespace, repositories) values ('team', 1), ('registry-manager-trash', 0)
    on conflict (namespace) do update set repositories = namespace_usage.repositories + 1`.execute(db)
  await sql`
    insert into namespace_blobs (namespace, digest, size, uses)
    select 'team', digest, size, count(*) from (
      select digest, size from all_manifests join all_repositories on id = repository_id where name = ${name}
      union all
      select digest, size from manifest_references join all_repositories on id = repository_id where name = ${name}) used
    group by digest, size`.execute(db)
  await sql`
    update namespace_usage set bytes = (select sum(size) from namespace_blobs where namespace = 'team')
    where namespace = 'team'`.execute(db)
}

/** A registry that has everything, and counts what is deleted. */
function createRegistry() {
  const deleted = { manifests: 0, blobs: 0 }
  return {
    deleted,
    headBlob: async (_: string, digest: string) => digest,
    mountBlob: async () => true,
    putManifest: async () => undefined,
    headManifest: async () => undefined,
    getManifest: async () => undefined,
    findTagged: async () => undefined,
    listTags: async () => [],
    deleteManifest: async () => (deleted.manifests += 1) > 0,
    deleteBlob: async () => (deleted.blobs += 1) > 0,
  }
}

async function start(t: Test) {
  const postgres = await startMigratedPostgres(t, [
    'shared_preload_libraries=pg_stat_statements',
    'shared_buffers=256MB',
  ])
  if (postgres === undefined) return undefined
  const loader = connectPostgres(postgres.url, MIGRATING)
  await sql`create extension pg_stat_statements`.execute(loader)
  await disabled(loader, () => load(loader, NAME))
  // The service has its usual limits.
  const db = connectPostgres(postgres.url)
  t.teardown(() => Promise.all([loader.destroy(), db.destroy()]))
  return { db, loader }
}

/** Copies all but some manifests to the trash, as a deletion does that is interrupted later. */
async function copyToTrash(db: Database, { id, repositoryId }: TrashEntry): Promise<void> {
  const name = trashRepository({ id })
  await sql`insert into all_repositories (name) values (${name})`.execute(db)
  const target = sql`(select id from all_repositories where name = ${name})`
  await sql`
    insert into all_manifests (repository_id, digest, media_type, raw, size, state)
    select ${target}, digest, media_type, raw, size, 'trashed' from all_manifests
    where repository_id = ${repositoryId} order by digest offset ${NOT_COPIED}`.execute(db)
  await sql`
    insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
    select ${target}, manifest_digest, reference.digest, kind, reference.size from manifest_references as reference
    join all_manifests as copied on copied.repository_id = ${target} and copied.digest = manifest_digest
    where reference.repository_id = ${repositoryId}`.execute(db)
  await sql`
    insert into namespace_blobs (namespace, digest, size, uses)
    select split_part(${name}, '/', 1), digest, size, count(*) from (
      select digest, size from all_manifests where repository_id = ${target} union all
      select digest, size from manifest_references where repository_id = ${target}) used
    group by digest, size`.execute(db)
}

const resetStatements = (db: Database) => sql`select pg_stat_statements_reset()`.execute(db)

/** Runs work without triggers. */
const disabled = async (db: Database, work: () => Promise<void>) => {
  for (const verb of ['disable', 'enable']) {
    for (const table of ['all_repositories', 'all_manifests', 'manifest_references', 'tags'])
      await sql`alter table ${sql.table(table)} ${sql.raw(verb)} trigger user`.execute(db)
    if (verb === 'disable') await work()
  }
}

t.test(
  `a repository of ${MANIFESTS} manifests is deleted and leaves the trash by statements of a bounded size`,
  async (t) => {
    t.setTimeout(3_600_000)
    const started = await start(t)
    if (started === undefined) return
    const { db, loader } = started
    const ports = repositoriesOf(db)
    const countRows = async () => {
      const { rows } = await sql<Record<string, number>>`
      select (select count(*)::int from all_manifests) as manifests, (select count(*)::int from tags) as tags,
        (select count(*)::int from manifest_references) as "references", (select count(*)::int from trash_tags) as trashed,
        (select coalesce(sum(bytes), 0)::float8 from namespace_usage where namespace = 'team') as bytes,
        (select count(*)::int from namespace_blobs) as counted`.execute(loader)
      return rows[0]
    }
    const slowest = async (what: string) => {
      const { rows } = await sql<{ ms: number; query: string }>`
      select max_exec_time as ms, query from pg_stat_statements where query not like '%trashed, (select%'
      order by max_exec_time desc limit 1`.execute(loader)
      const [{ ms, query } = { ms: Infinity, query: '' }] = rows
      t.ok(ms < MAX_MS, `${what}: the slowest statement takes ${Math.round(ms)} ms: ${query.slice(0, 300)}`)
      await resetStatements(loader)
    }
    t.match(await countRows(), { manifests: MANIFESTS, references: 5 * MANIFESTS })

    const registry = createRegistry()
    const begun = await ports.deletions.beginDeletion(NAME, { trashDays: 14 })
    const id = begun !== undefined && 'id' in begun ? begun.id : ''
    const entry = await ports.trashEntries.findFilling(id)
    if (entry === undefined) throw new Error('the deletion has no entry')
    await disabled(loader, () => copyToTrash(loader, entry))
    await sql`vacuum analyze`.execute(loader)
    await resetStatements(loader)

    await t.test('a deletion that is killed in the middle continues', async (t) => {
      t.setTimeout(1_800_000)
      const half = {
        ...registry,
        deleteManifest: async () =>
          registry.deleted.manifests < MANIFESTS / 2 ? registry.deleteManifest() : killed(),
      }
      const deletion = { id, name: NAME }
      await t.rejects(finishDeletion({ ...ports, registry: half }, deletion), {
        message: 'killed in the middle',
      })
      t.equal(await ports.repositories.findRepository(NAME), undefined, 'the repository is not found')
      const left = ((await countRows())?.['manifests'] ?? 0) - MANIFESTS
      t.ok(left >= MANIFESTS / 2 && left < MANIFESTS / 2 + 200, `${left} manifests are left`)
      await finishDeletion({ ...ports, registry }, deletion)
      t.ok(registry.deleted.manifests < MANIFESTS + 200, 'the second call does not begin again')
      t.ok(registry.deleted.blobs >= OWN * MANIFESTS)
      t.equal(await ports.deletions.isBeingDeleted(NAME), false)
      const { rows } = await sql`select detail from events where action = 'repository.delete'`.execute(db)
      t.same(rows, [{ detail: { manifests: MANIFESTS } }])
      t.match(await countRows(), { manifests: MANIFESTS, references: 5 * MANIFESTS, tags: 0, bytes: 0 })
      t.ok(((await countRows())?.['trashed'] ?? 0) > MANIFESTS / 10, 'the trash has the tags')
      t.same(
        (await ports.keptTrash.list('team', { limit: 5 })).map((one) => one.id),
        [entry.id],
      )
      t.same(
        await ports.trashContents.listReady(entry, 'moving', '', 10),
        [],
        'all manifests are in the trash',
      )
      await slowest('the deletion')
    })

    await t.test('the usage of the trash is summed, and its entry ends', async (t) => {
      t.setTimeout(1_800_000)
      t.equal((await createStorageReportRepository(db).sumTrash()).bytes > 3000 * MANIFESTS, true)
      t.equal(await createContentsRepository(db).sumBytes(), 0)
      await slowest('the sums')

      await ports.keptTrash.purge('team', entry.id, { action: 'trash.purge' })
      await emptyEntry({ ...ports, registry }, entry)
      t.same(await countRows(), { manifests: 0, references: 0, tags: 0, trashed: 0, bytes: 0, counted: 0 })
      await slowest('the end of the entry')
    })
  },
)
