import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createContentsRepository } from '../../src/contents/contents-repository.ts'
import { createIndexRepositories } from '../../src/index/index.ts'
import { parseManifest } from '../../src/index/manifest.ts'
import { createDatabaseReconciler } from '../../src/reconcile/index.ts'
import { INDEX, MANIFEST, REPOSITORY, startIndex } from '../fixtures/index-and-registry.ts'
import { createMemoryRegistry, digestOf } from '../fixtures/memory-registry.ts'
import { parsed } from '../fixtures/reconcile.ts'

const digest = (at: number) => `sha256:${at.toString(16).padStart(64, '0')}`
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const imageOf = (...layers: readonly [at: number, size: unknown][]) =>
  bytes({
    schemaVersion: 2,
    layers: layers.map(([at, size]) => ({ mediaType: 'x/layer', digest: digest(at), size })),
  })
/** The manifest that `buildctl --export-cache type=registry` pushes. */
const CACHE = bytes({
  schemaVersion: 2,
  mediaType: INDEX,
  manifests: [
    { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digest(1), size: 100 },
    { mediaType: 'application/vnd.buildkit.cacheconfig.v0', digest: digest(2), size: 10 },
  ],
})
const NO_UTF8 = Buffer.concat([
  Buffer.from(`{"annotations":{"a":"`),
  Buffer.from([0xff]),
  Buffer.from(`"},"layers":[{"digest":"${digest(3)}","size":1000}]}`),
])

await onBothDatabases(t, async (t, db) => {
  const index = createIndexRepositories(db)
  const { sumBytes } = createContentsRepository(db)
  const references = async () => {
    const { rows } = await sql<{ digest: string; kind: string; size: string | null }>`
      select digest, kind, size::text from manifest_references order by digest, kind`.execute(db)
    return rows.map(({ digest, kind, size }) => [digest, kind, size])
  }
  /** Inserts a manifest as the previous version did. */
  const insertOld = async (
    raw: Buffer,
    mediaType: string,
    old: readonly [at: number, kind: 'layer' | 'manifest'][],
  ) => {
    const { id } = await db
      .insertInto('repositories')
      .values({ name: REPOSITORY })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ scope: 'namespace' }))
      .returning('id')
      .executeTakeFirstOrThrow()
    const key = { repository_id: id, digest: digestOf(raw) }
    await db
      .insertInto('manifests')
      .values({ ...key, media_type: mediaType, artifact_type: null, subject: null, annotations: null, raw })
      .execute()
    for (const [at, kind] of old) {
      const row = { repository_id: id, manifest_digest: key.digest, digest: digest(at), kind }
      await db.insertInto('manifest_references').values(row).execute()
    }
  }
  const recover = () =>
    createDatabaseReconciler({
      db,
      createRegistry: createMemoryRegistry,
      concurrency: 1,
      listener: { taken: () => {}, progress: () => {}, failed: ({ error }) => t.equal(error, undefined) },
    }).recover(new AbortController().signal)

  t.test('sizes are recorded with a manifest, and the sum of bytes counts each digest once', async (t) => {
    await startIndex(db)
    const [one, two] = [imageOf([1, 100], [2, 2 ** 53 - 1], [3, 'x']), imageOf([1, 90], [4, 7])]
    for (const raw of [one, two]) await index.manifests.putManifest(REPOSITORY, parsed(raw))
    await index.manifests.putManifest('another/app', parsed(one))
    t.equal(await sumBytes(), one.length + two.length + 90 + (2 ** 53 - 1) + 7)
  })

  t.test('background work records the sizes of manifests of the previous version', async (t) => {
    await startIndex(db)
    const raw = imageOf([5, 50], [6, 60])
    await insertOld(raw, MANIFEST, [
      [5, 'layer'],
      [6, 'layer'],
    ])
    await insertOld(CACHE, INDEX, [
      [1, 'manifest'],
      [2, 'manifest'],
    ])
    await insertOld(NO_UTF8, MANIFEST, [[3, 'layer']])
    await insertOld(Buffer.from('no JSON'), MANIFEST, [])
    t.equal(await sumBytes(), 0, 'before that, unknown sizes count as 0')
    await recover()
    t.same(await references(), [
      [digest(1), 'layer', '100'],
      [digest(2), 'layer', '10'],
      [digest(3), 'layer', '1000'],
      [digest(5), 'layer', '50'],
      [digest(6), 'layer', '60'],
    ])
    const documents = raw.length + CACHE.length + NO_UTF8.length + 'no JSON'.length
    t.equal(await sumBytes(), documents + 100 + 10 + 1000 + 50 + 60)
    t.equal(await index.manifestSizes.fillSizes(), false, 'no manifest without sizes is left')
  })

  t.test('a manifest whose sizes cannot be recorded does not stop the recording of others', async (t) => {
    await startIndex(db)
    const raws = Array.from({ length: 5 }, (_, at) => imageOf([at, 10]))
    for (const raw of raws) await insertOld(raw, MANIFEST, [])
    const refusing = digestOf(raws[2] ?? CACHE)
    await sql
      .raw(
        `create or replace function refuse_size() returns trigger language plpgsql as
          'begin if new.manifest_digest = ''${refusing}'' then raise exception ''refused''; end if; return new; end'`,
      )
      .execute(db)
    await sql`create trigger refuse_size before insert on manifest_references for each row execute function refuse_size()`.execute(
      db,
    )
    const failed: string[] = []
    const listener = {
      taken: () => {},
      progress: () => {},
      failed: ({ reference }: { reference: string }) => void failed.push(reference),
    }
    await createDatabaseReconciler({
      db,
      createRegistry: createMemoryRegistry,
      concurrency: 1,
      listener,
    }).recover(new AbortController().signal)
    await sql`drop trigger refuse_size on manifest_references`.execute(db)
    t.same(failed, [refusing])
    t.equal((await references()).length, 4)
    t.equal(await sumBytes(), raws.reduce((sum, { length }) => sum + length, 0) + 40)
  })

  t.test(
    'a manifest of 16,383 references is recorded (the previous version accepted such manifests)',
    async (t) => {
      await startIndex(db)
      const references = Array.from({ length: 16_383 }, (_, at) => ({
        digest: digest(at),
        kind: 'layer' as const,
        size: at,
      }))
      await index.manifests.putManifest(REPOSITORY, { ...parsed(imageOf()), references })
      const { count } = await db
        .selectFrom('manifest_references')
        .select((eb) => eb.fn.countAll<string>().as('count'))
        .executeTakeFirstOrThrow()
      t.equal(Number(count), 16_383)
      t.ok((await sumBytes()) > 16_383 * 8000)
    },
  )

  t.test('revisions exceed 2^31, and those for the previous version start again', async (t) => {
    const { tags } = await startIndex(db)
    await sql`select setval('tag_revisions', 2147483640), setval('revision_ids', 2147483640)`.execute(db)
    const raws = Array.from({ length: 12 }, (_, at) => imageOf([at, 1]))
    for (const raw of raws) {
      await index.manifests.putManifest(REPOSITORY, parsed(raw))
      const { revision } = await index.tags.findTag(REPOSITORY, 'v1')
      t.equal(await index.tags.setTag(REPOSITORY, 'v1', digestOf(raw), revision), true)
      t.equal(
        await index.tags.setTag(REPOSITORY, 'v1', digestOf(raw), revision),
        false,
        'an earlier revision is refused',
      )
    }
    t.same(await tags(), { v1: digestOf(raws.at(-1) ?? CACHE) })
    t.ok(Number((await index.tags.findTag(REPOSITORY, 'v1')).revision) > 2 ** 31)
    const { rows } = await sql<{ last: string }>`select last_value::text as last from tag_revisions`.execute(
      db,
    )
    t.ok(Number(rows[0]?.last) < 100, 'the sequence of 31 bits started again')
  })

  t.test('70,000 digests or names are looked up by one statement', async (t) => {
    const { index } = await startIndex(db)
    const raw = imageOf([1, 1])
    await index.manifests.putManifest(REPOSITORY, parsed(raw))
    const digests = [...Array.from({ length: 70_000 }, (_, at) => digest(at)), digestOf(raw)]
    t.same(await index.manifests.filterManifests(REPOSITORY, digests), new Set([digestOf(raw)]))
    t.same(
      await index.globalScope.findGlobalMarks(Array.from({ length: 70_000 }, (_, at) => `team/${at}`)),
      {},
    )
  })
})

t.test('BuildKit’s cache is parsed as an image index of blobs', async (t) => {
  const result = parseManifest(CACHE, INDEX)
  if ('malformed' in result) throw new Error(result.malformed)
  t.same(
    result.manifest.references.map(({ kind, size }) => [kind, size]),
    [
      ['layer', 100],
      ['layer', 10],
    ],
  )
})
