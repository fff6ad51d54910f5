import { MIGRATING, connectPostgres, migrateToLatest } from '@registry-manager/database'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { until } from '@registry-manager/testing/until'
import { sql } from 'kysely'
import t from 'tap'
import { startImageManager } from '../fixtures/image-manager.ts'

const [REPOSITORIES, OF_EACH, COPIES, LAYERS] = [990, 100, 1000, 30_000]
const IMAGES = REPOSITORIES * OF_EACH
const [CONFIG_BYTES, LAYER_BYTES] = [100, 1000]
/** Pages of 50,000 digests: three of manifests, four of blobs (the last ones are empty). One sum of what is pending. */
const MAX_STATEMENTS = 8
/** The rows of all sizes would need several times as much. */
const MAX_GROWTH_MIB = 64

const textOf = (at: number) => `manifest ${at}`

/**
 * Loads images of one config and one layer, as one statement for each table. Layers are shared. The first images are in
 * a second repository, too. The bytes of one manifest are not UTF-8: nothing may parse manifests to count them.
 */
async function loadImages(url: string) {
  const db = connectPostgres(url, MIGRATING)
  await migrateToLatest(db)
  await sql`create extension pg_stat_statements`.execute(db)
  // The triggers count what namespaces use, which takes longer than the test.
  for (const table of ['all_repositories', 'all_manifests', 'manifest_references'])
    await sql`alter table ${sql.table(table)} disable trigger user`.execute(db)
  await sql`insert into all_repositories (name) select 'team/app-' || at from generate_series(1, ${REPOSITORIES}::int) at`.execute(
    db,
  )
  await sql`insert into all_repositories (name) values ('copies/app')`.execute(db)
  await sql`
    with image as (
      select at, case at when 1 then '\\x6d616e6966657374ff31'::bytea else convert_to('manifest ' || at, 'UTF8') end raw
      from generate_series(1, ${IMAGES}::int) at
    ), placed as (
      select image.*, 'team/app-' || (1 + at % ${REPOSITORIES}::int) as name from image
      union all select image.*, 'copies/app' from image where at <= ${COPIES}::int
    )
    insert into all_manifests (repository_id, digest, media_type, annotations, raw, size)
    select id, 'sha256:' || encode(sha256(raw), 'hex'), 'application/vnd.oci.image.manifest.v1+json',
      jsonb_build_object('at', at::text), raw, length(raw)
    from placed join all_repositories using (name)`.execute(db)
  await sql`
    insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
    select repository_id, manifest.digest, 'sha256:' || encode(sha256(convert_to(blob.name, 'UTF8')), 'hex'), blob.kind,
      blob.size
    from all_manifests manifest
    cross join lateral (values
      ('config', 'config ' || (annotations ->> 'at'), ${CONFIG_BYTES}::bigint),
      ('layer', 'layer ' || ((annotations ->> 'at')::int % ${LAYERS}::int), ${LAYER_BYTES}::bigint)
    ) as blob (kind, name, size)`.execute(db)
  await sql`vacuum analyze all_repositories, all_manifests, manifest_references`.execute(db)
  await sql`select pg_stat_statements_reset()`.execute(db)
  return db
}

t.test('the storage usage of 100,000 manifests is counted by few statements, one row each', async (t) => {
  t.setTimeout(300_000)
  const postgres = await startPostgres(t, ['shared_preload_libraries=pg_stat_statements'])
  if (postgres === undefined) return
  const loader = await loadImages(postgres.url)
  // The service has its usual limits: a statement of more than 5 s would be cancelled.
  const db = connectPostgres(postgres.url)
  t.teardown(() => Promise.all([loader.destroy(), db.destroy()]))
  const { rows: loaded } = await sql<{ count: number }>`select count(*)::int as count from manifests`.execute(
    loader,
  )
  t.same(loaded, [{ count: IMAGES + COPIES }])
  t.ok(IMAGES + COPIES >= 100_000)

  const { askInternal } = await startImageManager(t, db)
  const before = process.memoryUsage().rss
  const usage = async () => (await askInternal('/internal/contents/usage')).json()
  // A request waits for a count for 3 s only. The count then continues.
  await until(async () => (await usage()).bytes !== null)
  const manifests = Array.from({ length: IMAGES }, (_, at) => textOf(at + 1).length).reduce(
    (a, b) => a + b,
    0,
  )
  t.equal((await usage()).bytes, manifests + IMAGES * CONFIG_BYTES + LAYERS * LAYER_BYTES)
  const grown = (process.memoryUsage().rss - before) / 2 ** 20
  t.ok(grown < MAX_GROWTH_MIB, `resident memory has grown by ${Math.round(grown)} MiB`)

  const { rows } = await sql<{ statements: number; rows: number; texts: number }>`
    select sum(calls)::int as statements, sum(rows)::int as rows, count(*)::int as texts from pg_stat_statements
    where query like '%sum(size)%' and query not like '%pg_stat_statements%'`.execute(loader)
  const [counted] = rows
  t.equal(counted?.texts, 3, 'one statement for manifests, one for blobs, one for pending ones')
  t.ok((counted?.statements ?? 0) > 3, 'pages were read')
  t.ok((counted?.statements ?? Infinity) <= MAX_STATEMENTS, `${counted?.statements} statements`)
  t.equal(counted?.rows, counted?.statements, 'every statement returns one row, never a row for each digest')
})
