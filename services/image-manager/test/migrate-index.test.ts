import { readdir } from 'node:fs/promises'
import type { Database } from '@registry-manager/database'
import { MIGRATING, connectPostgres, migrateThrough, migrateToLatest } from '@registry-manager/database'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import t from 'tap'
import { createPush } from '../src/push/index.ts'
import { MANIFEST, blobsOf, image, repositoriesOf } from './fixtures/index-and-registry.ts'
import { createMemoryRegistry } from './fixtures/memory-registry.ts'
import { previousVersion } from './fixtures/previous-version.ts'
import { parsed } from './fixtures/reconcile.ts'

/** The last migration of the previous version. */
const PREVIOUS = '2026-11-28-sign-in'
const FOLDER = new URL('../../../packages/database/src/migrations/', import.meta.url)
const [REPOSITORIES, INDEX_ONLY] = [100_000, 20]
/** Time limit of a statement of a service, waits for locks included. */
const STATEMENT_MS = 5000

/** Fills the schema of the previous version: two manifests of each repository, with a tag and a layer each. */
async function fill(db: Database): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // The rows are consistent, so foreign keys need no check.
    await sql`set local session_replication_role = replica`.execute(tx)
    await sql`
      insert into repositories (name, scope)
      select format('team-%s/app-%s', r % 2000, r), case r % 200 when 0 then 'global' else 'namespace' end
      from generate_series(1, ${sql.lit(REPOSITORIES)}) r`.execute(tx)
    await sql`
      insert into manifests (repository_id, digest, media_type, raw, size, kept)
      select id, 'sha256:' || encode(sha256(raw), 'hex'), 'application/vnd.oci.image.manifest.v1+json', raw,
        length(raw), number <= ${sql.lit(INDEX_ONLY)} and round = 1
      from repositories cross join generate_series(1, 2) round
      cross join lateral (
        select convert_to(format('{"schemaVersion":2,"name":"%s","round":%s,"filling":"%s"}', name, round,
          repeat(md5(name), 20)), 'UTF8') as raw
      ) pushed`.execute(tx)
    await sql`
      insert into tags (repository_id, name, digest)
      select repository_id, 'v' || row_number() over (partition by repository_id order by digest), digest
      from manifests`.execute(tx)
    await sql`
      insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
      select repository_id, digest,
        case when kept then 'sha512:' || encode(sha512(raw), 'hex') else 'sha256:' || encode(sha256(digest::bytea), 'hex')
        end, case when kept then 'manifest' else 'layer' end, 1000
      from manifests`.execute(tx)
  })
  await sql`vacuum analyze`.execute(db)
}

t.test('100,000 repositories are migrated while the previous version pushes', async (t) => {
  const postgres = await startPostgres(t, ['shared_buffers=128MB'])
  if (postgres === undefined) return
  const [operator, service] = [connectPostgres(postgres.url, MIGRATING), connectPostgres(postgres.url)]
  t.teardown(() => Promise.all([operator.destroy(), service.destroy()]))
  const files = (await readdir(FOLDER)).map((file) => file.replace(/\.ts$/, '')).toSorted()
  await migrateThrough(operator, files.slice(0, files.indexOf(PREVIOUS) + 1))
  await fill(operator)
  const previous = previousVersion(service)

  const state = { isMigrated: false, pushes: 0, longest: 0 }
  /** Pushes into one repository after the other. Each process has its own. */
  const pushAll = async (process: number) => {
    for (let number = 1; !state.isMigrated || number < 10; number++) {
      const repository = `team-${number}/app-${number + process * 100_000}`
      const began = performance.now()
      const id = await previous.announce(repository, 'latest', parsed(image(`${process} ${number}`)))
      t.ok(await previous.recordManifest(repository, id))
      const { revision } = await previous.findTag(repository, 'latest')
      const { digest } = parsed(image(`${process} ${number}`))
      t.ok(await previous.setTag(repository, 'latest', digest, revision))
      await previous.removePendingPush(id)
      await previous.listRepositories()
      state.longest = Math.max(state.longest, performance.now() - began)
      state.pushes += 1
    }
  }
  const unfinished = await previous.announce('team/late', 'v1', parsed(image('late')))
  const pushing = Promise.all([1, 2, 3].map(pushAll))
  const began = performance.now()
  const migrated = await migrateToLatest(operator)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  state.isMigrated = true
  await pushing
  t.same(migrated, files.slice(files.indexOf(PREVIOUS) + 1))
  t.comment(
    `migrated in ${seconds} s; the longest of ${state.pushes} pushes took ${state.longest.toFixed(0)} ms`,
  )
  t.ok(state.longest < STATEMENT_MS, 'no push waited longer than a statement may take')

  const counts = async (db: Database) => {
    const { rows } = await sql<Record<string, number>>`
      select (select count(*)::integer from repositories) as repositories,
        (select count(*)::integer from manifests) as manifests,
        (select count(*)::integer from manifests where state = 'index-only') as "indexOnly",
        (select count(*)::integer from all_manifests where state = 'pending') as pending,
        (select count(*)::integer from tags) as tags`.execute(db)
    return rows[0]
  }
  const before = {
    repositories: REPOSITORIES + state.pushes,
    manifests: 2 * REPOSITORIES + state.pushes,
    indexOnly: INDEX_ONLY,
    pending: 0,
    tags: 2 * REPOSITORIES + state.pushes,
  }
  t.same(await counts(service), before, 'nothing is lost')

  // The push that the previous version announced is recorded by this version, and further ones go on.
  const registry = createMemoryRegistry()
  const push = createPush({ registry, ...repositoriesOf(service) })
  registry.push(image('late'), MANIFEST, 'v1', 'team/late')
  // Its repository is new, so the blobs are looked up.
  for (const digest of blobsOf(image('late'))) registry.repositories.get('team/late')?.blobs.add(digest)
  t.match(await push.record(unfinished), { digest: parsed(image('late')).digest })
  const manifest = {
    repository: 'team-1/app-1',
    reference: { tag: 'v1' },
    type: MANIFEST,
    raw: image('next'),
  }
  const announced = await push.announce(manifest)
  if (announced.outcome !== 'announced') return t.fail(announced.outcome)
  registry.push(manifest.raw, MANIFEST, 'v1', manifest.repository)
  t.match(await push.record(announced.id), { digest: announced.digest })
  t.match(await counts(service), {
    repositories: before.repositories + 1,
    manifests: before.manifests + 2,
    pending: 0,
    tags: before.tags + 1,
  })
})
