import { MIGRATING, connectPostgres, migrateToLatest } from '@registry-manager/database'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import t from 'tap'
import { dryRun } from '../../src/retention/dry-run.ts'
import type { DryRunPosition } from '../../src/retention/dry-run-position.ts'
import { repositoriesOf } from '../fixtures/index-and-registry.ts'

/** Of all repositories together. RETENTION_MANIFESTS=1000000 is the size of a large registry. */
const MANIFESTS = Number(process.env['RETENTION_MANIFESTS'] ?? 50_000)
const REPOSITORIES = 100
/** The first repository has this many tags beyond its share. */
const LARGE = Math.round(MANIFESTS / 10)
const MAX_GROWTH_MIB = 100
/** Number of tags of a repository that the rule keeps. */
const LAST = 20

/** Loads manifests, every second one with a tag. */
async function load(url: string) {
  const db = connectPostgres(url, MIGRATING)
  await migrateToLatest(db)
  for (const table of ['all_repositories', 'all_manifests', 'manifest_references', 'tags'])
    await sql`alter table ${sql.table(table)} disable trigger user`.execute(db)
  await sql`insert into all_repositories (name)
    select 'team/app-' || lpad(at::text, 4, '0') from generate_series(1, ${REPOSITORIES}::int) at`.execute(db)
  await sql`
    insert into all_manifests (repository_id, digest, media_type, raw, pushed_at)
    select id, 'sha256:' || encode(sha256(convert_to(at::text, 'UTF8')), 'hex'), 'x', convert_to(at::text, 'UTF8'),
      now() - make_interval(hours => at % 1000)
    from generate_series(1, ${MANIFESTS}::int) at
    join all_repositories on name = 'team/app-' || lpad(case when at <= ${LARGE}::int then '1'
      else (1 + at % ${REPOSITORIES}::int)::text end, 4, '0')`.execute(db)
  await sql`
    insert into tags (repository_id, name, digest, updated_at)
    select repository_id, 'build-' || convert_from(raw, 'UTF8'), digest, pushed_at from all_manifests
    where convert_from(raw, 'UTF8')::int % 2 = 0`.execute(db)
  await sql`update collection set began_at = '2020-01-01'`.execute(db)
  await sql`vacuum analyze all_repositories, all_manifests, tags`.execute(db)
  return db
}

t.test(`the dry run of ${MANIFESTS} manifests comes in pages and needs little memory`, async (t) => {
  t.setTimeout(900_000)
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const loader = await load(postgres.url)
  // The service has its usual limits: a statement of more than 5 s would be cancelled.
  const db = connectPostgres(postgres.url)
  t.teardown(() => Promise.all([loader.destroy(), db.destroy()]))
  const ports = { ...repositoriesOf(db), now: Date.now }
  const keep = { last: LAST, matching: 'build-1.*5' }
  const rules = [{ name: 'builds', repositories: 'team/*', tags: '*', keep, untaggedAfterDays: 10 }]
  const before = process.memoryUsage().rss
  let peak = before
  const seen = new Map<string, number>()
  let after: DryRunPosition | undefined
  let [pages, slowest] = [0, 0]
  do {
    const begin = performance.now()
    const { items, next } = await dryRun(ports, { namespace: 'team', limit: 1000, rules, after })
    slowest = Math.max(slowest, performance.now() - begin)
    pages += 1
    for (const { tag, outcome } of items) {
      const what = `${tag === null ? 'untagged' : 'tag'} ${outcome}`
      seen.set(what, (seen.get(what) ?? 0) + 1)
    }
    peak = Math.max(peak, process.memoryUsage().rss)
    after = next
  } while (after !== undefined)
  const [tags, untagged] = ['tag', 'untagged'].map((what) =>
    ['kept', 'deleted'].reduce((sum, outcome) => sum + (seen.get(`${what} ${outcome}`) ?? 0), 0),
  )
  t.same(
    [tags, untagged],
    [MANIFESTS / 2, MANIFESTS / 2],
    'each tag and each manifest without a tag is listed once',
  )
  t.ok((seen.get('tag kept') ?? 0) >= (REPOSITORIES / 2) * LAST, 'every second repository has tags')
  t.ok((seen.get('untagged deleted') ?? 0) > MANIFESTS / 4)
  const grown = (peak - before) / 2 ** 20
  t.comment(`${pages} pages, the slowest ${Math.round(slowest)} ms; memory ${Math.round(peak / 2 ** 20)} MiB`)
  t.ok(grown < MAX_GROWTH_MIB, `resident memory has grown by ${Math.round(grown)} MiB`)
})
