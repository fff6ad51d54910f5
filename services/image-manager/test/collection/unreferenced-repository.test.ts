import { connectPostgres } from '@registry-manager/database'
import type { Database } from '@registry-manager/database'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import t from 'tap'
import { MANIFEST, REPOSITORY, blobsOf, image, startIndex } from '../fixtures/index-and-registry.ts'
import { endReconcile, rowsOf } from '../fixtures/collection.ts'
import { digestOf, sha512Of } from '../fixtures/memory-registry.ts'
import { reviewBlobs } from '../../src/collection/review.ts'

const blob = (text: string) => digestOf(Buffer.from(text))
const HOLD = { limit: 100, holdSeconds: 60 }
const isRefused = { code: 'RM002' }

/** Uploads a blob, and deletes it again from its repository. */
async function release(db: Database, ...digests: readonly string[]) {
  for (const digest of digests) {
    await db.insertInto('repository_blobs').values({ repository: REPOSITORY, digest }).execute()
    await db.deleteFrom('repository_blobs').where('digest', '=', digest).execute()
  }
}

await onBothDatabases(t, async (t, db) => {
  const start = async () => {
    const started = await startIndex(db)
    await endReconcile(db)
    const review = (graceSeconds = 0) => reviewBlobs(started.ports, { graceSeconds })
    return { ...started, ...started.ports, review }
  }

  t.test('a deleted blob is condemned, claimed once and removed', async (t) => {
    const { unreferenced, review } = await start()
    const digests = [blob('one'), blob('two')].toSorted()
    await release(db, ...digests)
    t.equal(await review(), 2)
    const claim = await unreferenced.claim(HOLD)
    t.same(claim?.digests.toSorted(), digests)
    t.equal(await unreferenced.claim(HOLD), undefined, 'no other worker gets the blobs of a claim')
    const results = { removed: digests.map((digest) => ({ digest, bytes: 7 })), failed: [] }
    await unreferenced.recordResults('00000000-0000-4000-8000-000000000000', results)
    t.equal((await rowsOf(db)).length, 2, 'results of another claim have no effect')
    await unreferenced.recordResults(claim?.id ?? '', results)
    await unreferenced.recordResults(claim?.id ?? '', results)
    t.same(await rowsOf(db), [])
    const { removed_blobs: blobs, removed_bytes: bytes } = await db
      .selectFrom('collection')
      .select([sql<number>`removed_blobs::integer`.as('removed_blobs')])
      .select(sql<number>`removed_bytes::integer`.as('removed_bytes'))
      .executeTakeFirstOrThrow()
    t.same({ blobs, bytes }, { blobs: 2, bytes: 14 }, 'repeated results count once')
  })

  t.test('nothing is condemned before the end of the grace period', async (t) => {
    const { review } = await start()
    await release(db, blob('one'))
    t.equal(await review(3600), 0)
    t.match(await rowsOf(db), [{ digest: blob('one'), state: 'waiting' }])
    await db
      .updateTable('unreferenced_blobs')
      .set({ since: sql`now() - interval '2 hours'` })
      .execute()
    await release(db, blob('one'))
    t.equal(await review(3600), 0, 'a later deletion begins another grace period')
    await db
      .updateTable('unreferenced_blobs')
      .set({ since: sql`now() - interval '2 hours'` })
      .execute()
    t.equal(await review(3600), 1)
  })

  t.test('nothing is condemned or claimed before a complete reconcile run', async (t) => {
    const { unreferenced, review } = await start()
    await release(db, blob('one'))
    await db.updateTable('collection').set({ reconciled_at: null }).execute()
    await db
      .updateTable('reconciliations')
      .set({ counts: JSON.stringify({ failures: 1 }) })
      .execute()
    t.equal(await review(), 0, 'a run with failures is not complete')
    await db.updateTable('reconciliations').set({ counts: '{}', started_at: '2020-01-01' }).execute()
    t.equal(await review(), 0, 'a run that began before the collection does not count')
    await endReconcile(db)
    t.equal(await review(), 1)
    await db.updateTable('collection').set({ reconciled_at: null }).execute()
    t.equal(await unreferenced.claim(HOLD), undefined)
  })

  t.test(
    'after the restore of another database nothing is claimed before the next reconcile run',
    async (t) => {
      const { unreferenced, review } = await start()
      await release(db, blob('one'))
      t.equal(await review(), 1)
      await db.updateTable('collection').set({ database: 'another/1/1' }).execute()
      t.equal(await unreferenced.claim(HOLD), undefined)
      await db.deleteFrom('reconciliations').execute()
      t.equal(await review(), 0)
      t.match(await rowsOf(db), [{ state: 'waiting' }])
      await endReconcile(db, 0)
      t.equal(await review(), 1)
      t.match(await unreferenced.claim(HOLD), { digests: [blob('one')] })
    },
  )

  t.test('a blob that any repository references is not condemned, and its row is deleted', async (t) => {
    const { index, blobAliases, announce, review } = await start()
    const [uploaded, pushed] = [blob('uploaded'), image('pushed')]
    const named = [uploaded, digestOf(pushed), ...blobsOf(pushed), blob('aliased')]
    await release(db, ...named)
    await index.unreferenced.beginReview()
    await index.unreferenced.takeReleased(100)
    t.equal((await rowsOf(db)).length, named.length)
    // As if the rows had been there before the triggers: only the review looks for references.
    await sql`alter table repository_blobs disable trigger user`.execute(db)
    await sql`alter table all_manifests disable trigger user`.execute(db)
    await sql`alter table manifest_references disable trigger user`.execute(db)
    await sql`alter table pending_pushes disable trigger user`.execute(db)
    await sql`alter table blob_aliases disable trigger user`.execute(db)
    t.teardown(async () => {
      for (const table of ['repository_blobs', 'all_manifests', 'manifest_references', 'pending_pushes'])
        await sql`alter table ${sql.table(table)} enable trigger user`.execute(db)
      await sql`alter table blob_aliases enable trigger user`.execute(db)
    })
    await index.blobs.announceBlob('other/app', uploaded)
    await announce(pushed, 'v1', MANIFEST, 'other/app')
    await blobAliases.aliasBlob('other/app', sha512Of(Buffer.from('aliased')), blob('aliased'))
    t.equal(await review(), 0)
    t.same(await rowsOf(db), [])
  })

  t.test('the upload of a condemned blob keeps its data', async (t) => {
    const { blobs, unreferenced, review } = await start()
    await release(db, blob('one'))
    t.equal(await review(), 1)
    await blobs.announceBlob(REPOSITORY, blob('one'))
    t.same(await rowsOf(db), [])
    t.equal(await unreferenced.claim(HOLD), undefined)
  })

  t.test('a row that names data in removal is refused until the claim ends', async (t) => {
    const { blobs, blobAliases, announce, unreferenced, review } = await start()
    const raw = image('one')
    const [config = ''] = blobsOf(raw)
    const sha512 = sha512Of(Buffer.from('config one'))
    await release(db, config)
    await review()
    const claim = await unreferenced.claim(HOLD)
    await t.rejects(blobs.announceBlob(REPOSITORY, config), isRefused)
    await t.rejects(announce(raw, 'v1'), isRefused)
    await t.rejects(blobAliases.aliasBlob(REPOSITORY, sha512, config), isRefused)
    await t.rejects(blobs.announceBlob(REPOSITORY, sha512), isRefused, 'its sha256 is not known')
    t.equal(await blobs.announceBlob(REPOSITORY, blob('other')), true, 'other blobs are not concerned')
    await unreferenced.recordResults(claim?.id ?? '', {
      removed: [],
      failed: [{ digest: config, reason: 'the disk is read-only' }],
    })
    t.match(await rowsOf(db), [{ state: 'condemned', reason: 'the disk is read-only' }])
    t.equal(await unreferenced.claim(HOLD), undefined, 'a failed removal is tried again later')
    await announce(raw, 'v1')
    t.same(await rowsOf(db), [])
  })

  t.test('the claim of a worker that was killed ends by itself', async (t) => {
    const { blobs, unreferenced, review } = await start()
    await release(db, blob('one'), blob('two'))
    await review()
    const first = await unreferenced.claim(HOLD)
    await db
      .updateTable('unreferenced_blobs')
      .set({ removing_until: sql`now() - interval '1 second'` })
      .execute()
    await blobs.announceBlob(REPOSITORY, blob('one'))
    const second = await unreferenced.claim(HOLD)
    t.same(second?.digests, [blob('two')])
    await unreferenced.recordResults(first?.id ?? '', {
      removed: [{ digest: blob('two'), bytes: 1 }],
      failed: [],
    })
    t.match(await rowsOf(db), [{ digest: blob('two'), state: 'removing' }], 'late results have no effect')
  })

  t.test('no blob is claimed while the sha256 of an uploaded sha512 is not known', async (t) => {
    const { blobs, registry, unreferenced, review } = await start()
    const content = Buffer.from('one')
    await release(db, digestOf(content))
    await review()
    await blobs.announceBlob(REPOSITORY, sha512Of(content))
    t.equal(await unreferenced.claim(HOLD), undefined)
    await review()
    t.equal(await unreferenced.claim(HOLD), undefined, 'the upload may still end')
    for (const name of [digestOf(content), sha512Of(content)]) registry.blobs.add(name)
    registry.canonicalNames.set(sha512Of(content), digestOf(content))
    await review()
    t.same(await rowsOf(db), [], 'the registry tells that the condemned blob is the one')
  })

  t.test('an upload by sha512 that never arrived does not stop the collection for ever', async (t) => {
    const { blobs, unreferenced, review } = await start()
    await release(db, blob('one'))
    await blobs.announceBlob(REPOSITORY, sha512Of(Buffer.from('other')))
    await db
      .updateTable('repository_blobs')
      .set({ announced_at: sql`now() - interval '25 hours'` })
      .execute()
    await review()
    t.same((await unreferenced.claim(HOLD))?.digests, [blob('one')])
  })

  t.test('a paused collection gives no claims, and a rate limit makes claims small and rare', async (t) => {
    const { unreferenced, review } = await start()
    const many = Array.from({ length: 30 }, (_, at) => blob(`${at}`))
    await release(db, ...many)
    await db.updateTable('collection').set({ paused: true }).execute()
    t.equal(await review(), 0)
    t.equal(await unreferenced.claim(HOLD), undefined)
    await db.updateTable('collection').set({ paused: false, blobs_per_second: 2 }).execute()
    t.equal(await review(), 30)
    t.equal((await unreferenced.claim(HOLD))?.digests.length, 10)
    t.equal(await unreferenced.claim(HOLD), undefined, 'the next claim is due after five seconds')
    await db
      .updateTable('collection')
      .set({ next_claim_at: sql`now()`, blobs_per_second: null })
      .execute()
    t.equal((await unreferenced.claim(HOLD))?.digests.length, 20)
  })
})

t.test('a claim waits for transactions that began before the blob was condemned', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const { ports } = await startIndex(db)
  await endReconcile(db)
  const { unreferenced } = ports
  await ports.unreferenced.beginReview()
  const upload = await db.startTransaction().execute()
  // It looks for the row of the blob before there is one.
  await upload
    .insertInto('repository_blobs')
    .values({ repository: REPOSITORY, digest: blob('one') })
    .execute()
  await db
    .insertInto('released_digests')
    .values({ digest: blob('one') })
    .execute()
  t.equal(await reviewBlobs(ports, { graceSeconds: 0 }), 1, 'the review does not see the upload')
  t.equal(await unreferenced.claim(HOLD), undefined)
  await upload.commit().execute()
  t.equal(await unreferenced.claim(HOLD), undefined, 'the claim sees the upload')
  t.same(await rowsOf(db), [])
})

t.test('a claim and an upload of the same condemned blob exclude each other', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const { ports } = await startIndex(db)
  await endReconcile(db)
  await release(db, blob('one'))
  await reviewBlobs(ports, { graceSeconds: 0 })
  const upload = await db.startTransaction().execute()
  await upload
    .insertInto('repository_blobs')
    .values({ repository: REPOSITORY, digest: blob('one') })
    .execute()
  t.equal(await ports.unreferenced.claim(HOLD), undefined, 'the upload has locked the row')
  await upload.rollback().execute()
  t.match(await ports.unreferenced.claim(HOLD), { digests: [blob('one')] })

  const sha512 = sha512Of(Buffer.from('two'))
  await release(db, blob('two'))
  await reviewBlobs(ports, { graceSeconds: 0 })
  await db
    .updateTable('unreferenced_blobs')
    .set({ removing_until: sql`now()` })
    .execute()
  const unresolved = await db.startTransaction().execute()
  await unresolved.insertInto('repository_blobs').values({ repository: REPOSITORY, digest: sha512 }).execute()
  const claim = ports.unreferenced.claim(HOLD)
  await unresolved.commit().execute()
  t.equal(await claim, undefined, 'the claim waits for the upload of a sha512, and sees it')
})
