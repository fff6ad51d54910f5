import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import { createListing } from '../../src/collection/listing.ts'
import { reviewBlobs } from '../../src/collection/review.ts'
import { endReconcile, rowsOf } from '../fixtures/collection.ts'
import { REPOSITORY, blobsOf, image, startIndex } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const OLD = '2026-01-01T00:00:00Z'
const blob = (text: string) => digestOf(Buffer.from(text))
const listed = (bytes: number, ...digests: readonly string[]) => ({
  blobs: digests.map((digest) => ({ digest, bytes, modifiedAt: OLD })),
})
const UPLOADS = { count: 3, bytes: 30 }

await onBothDatabases(t, async (t, db) => {
  const start = async (unknown: 'report' | 'remove' = 'report') => {
    const started = await startIndex(db)
    await endReconcile(db)
    const options = { intervalSeconds: 1, graceSeconds: 3600, unknown }
    const listing = createListing(started.ports, options)
    /** One complete listing. */
    const list = async (...pages: readonly Parameters<typeof listing.addPage>[1][]) => {
      // A listing is due, because the last one began long ago.
      await db
        .updateTable('collection_listings')
        .set({ began_at: sql`began_at - interval '2 hours'` })
        .execute()
      const id = (await listing.begin('w')) ?? ''
      for (const page of pages) t.ok(await listing.addPage(id, page))
      t.ok(await listing.end(id, UPLOADS))
      return id
    }
    return { ...started, listing, list }
  }
  const totals = async () => {
    const { rows } = await sql<object>`
      select stored_blobs::integer as stored, stored_bytes::integer as "storedBytes", known_blobs::integer as known,
        condemned_blobs::integer as condemned, recent_blobs::integer as recent, unknown_blobs::integer as unknown,
        unknown_bytes::integer as "unknownBytes", uploads::integer as uploads
      from collection_listings where ended_at is not null`.execute(db)
    return rows
  }
  const unknownBlobs = async () => {
    const rows = await db.selectFrom('unknown_blobs').select('digest').orderBy('digest').execute()
    return rows.map(({ digest }) => digest)
  }

  t.test('a listing counts known, condemned, recent and unknown blobs', async (t) => {
    const { announce, list, ports } = await start()
    const raw = image('one')
    await announce(raw, 'v1')
    await db
      .insertInto('released_digests')
      .values({ digest: blob('deleted') })
      .execute()
    t.equal(await reviewBlobs(ports, { graceSeconds: 0 }), 1)
    const now = new Date().toISOString()
    await list(
      listed(10, digestOf(raw), ...blobsOf(raw), blob('deleted')),
      { blobs: [{ digest: blob('uploaded a moment ago'), bytes: 5, modifiedAt: now }] },
      listed(100, blob('unknown'), blob('linked')),
      { links: [blob('linked'), ...blobsOf(raw)] },
    )
    t.match(await totals(), [
      {
        stored: 8,
        storedBytes: 255,
        known: 5,
        condemned: 1,
        recent: 1,
        unknown: 1,
        unknownBytes: 100,
        uploads: 3,
      },
    ])
    t.same(await unknownBlobs(), [blob('unknown'), blob('uploaded a moment ago')].toSorted())
    const { bytes } = await db
      .selectFrom('unreferenced_blobs')
      .select(sql<number>`bytes::integer`.as('bytes'))
      .executeTakeFirstOrThrow()
    t.equal(bytes, 10, 'the size of a condemned blob is known from then on')
  })

  t.test('a repeated page and a repeated end of a listing are counted once', async (t) => {
    const { listing } = await start()
    const id = (await listing.begin('w')) ?? ''
    for (const page of [listed(1, blob('a')), listed(1, blob('a')), listed(1, blob('b'))])
      t.ok(await listing.addPage(id, page))
    t.ok(await listing.end(id, UPLOADS))
    t.notOk(await listing.addPage(id, listed(1, blob('c'))), 'the listing has ended')
    t.match(await totals(), [{ stored: 2, unknown: 2 }])
  })

  t.test('one worker lists at a time, and the next listing waits until it is due', async (t) => {
    const { listing } = await start()
    const first = (await listing.begin('one')) ?? ''
    t.equal(await listing.begin('two'), undefined)
    await db
      .updateTable('collection_listings')
      .set({ leased_until: sql`now() - interval '1 second'`, began_at: sql`now() - interval '2 minutes'` })
      .execute()
    const second = (await listing.begin('two')) ?? ''
    t.ok(second, 'the first worker was killed')
    t.notOk(await listing.addPage(first, listed(1, blob('a'))))
    t.notOk(await listing.end(first, UPLOADS))
    t.ok(await listing.end(second, UPLOADS))
    t.equal(await listing.begin('one'), undefined, 'not due')
  })

  t.test('a blob that a link of the storage names is not condemned, although no row names it', async (t) => {
    const { list, ports } = await start()
    const [linked, shared, free] = ['linked', 'shared', 'free'].map(blob) as [string, string, string]
    await ports.blobs.announceBlob(REPOSITORY, shared)
    const release = (digest: string) => db.insertInto('released_digests').values({ digest }).execute()
    const review = () => reviewBlobs(ports, { graceSeconds: 0 })
    for (const digest of [linked, shared, free]) await release(digest)
    await db.updateTable('collection').set({ paused: true }).execute()
    await review()
    await db.updateTable('collection').set({ paused: false }).execute()
    await list(listed(1, linked, shared, free), { links: [linked, shared] })
    t.equal(await review(), 1)
    const rows = [
      { digest: free, state: 'condemned', reason: null },
      { digest: linked, state: 'waiting', reason: null },
    ]
    t.same(
      await rowsOf(db),
      rows.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
    )
    await list(listed(1, linked, free), { links: [free] })
    t.equal(await review(), 1, 'the link is gone')
    t.match(await ports.unreferenced.claim({ limit: 10, holdSeconds: 60 }), { digests: [linked] })
  })

  t.test('unknown blobs are only reported, even after many listings', async (t) => {
    const { list } = await start()
    for (let count = 0; count < 3; count += 1) await list(listed(1, blob('unknown')))
    t.same(await unknownBlobs(), [blob('unknown')])
    t.same(await rowsOf(db), [])
  })

  t.test('with GC_UNKNOWN=remove a blob that two listings in a row did not know is condemned', async (t) => {
    const { list, index, ports } = await start('remove')
    const names = ['unknown', 'uploaded', 'linked', 'gone'].map(blob)
    const [unknown = '', uploaded = '', linked = '', gone = ''] = names
    await list(listed(1, ...names))
    t.same(await rowsOf(db), [])
    await index.blobs.announceBlob(REPOSITORY, uploaded)
    await list(listed(1, unknown, uploaded, linked), { links: [linked] })
    t.same(await rowsOf(db), [{ digest: unknown, state: 'waiting', reason: null }])
    await list(listed(1, gone, linked))
    t.match(await rowsOf(db), [{ digest: unknown }], 'a listing without it, or a link, begins again')
    t.equal(await reviewBlobs(ports, { graceSeconds: 3600 }), 1)
    t.match(await ports.unreferenced.claim({ limit: 10, holdSeconds: 60 }), { digests: [unknown] })
  })
})
