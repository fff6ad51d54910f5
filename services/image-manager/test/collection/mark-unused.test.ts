import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import { markUnusedBlobs } from '../../src/collection/mark-unused.ts'
import { deleteOldOrphans } from '../../src/delete/delete-orphans.ts'
import { REPOSITORY, blobsOf, image, startIndex } from '../fixtures/index-and-registry.ts'
import { digestOf, sha512Of } from '../fixtures/memory-registry.ts'

const GRACE = 3600
const blob = (text: string) => digestOf(Buffer.from(text))

await onBothDatabases(t, async (t, db) => {
  const start = async () => {
    const started = await startIndex(db)
    const { index, registry } = started
    return {
      ...started,
      async upload(repository: string, ...digests: readonly string[]) {
        for (const digest of digests) {
          await index.blobs.announceBlob(repository, digest)
          registry.blobs.add(digest)
        }
      },
      age: (hours: number) =>
        sql`
          update repository_blobs set announced_at = now() - make_interval(hours => ${sql.lit(hours)}),
            orphaned_at = orphaned_at - interval '2 minutes'`.execute(db),
    }
  }
  const orphans = async () => {
    const rows = await db
      .selectFrom('repository_blobs')
      .select('digest')
      .where('orphaned_at', 'is not', null)
      .orderBy('digest')
      .execute()
    return rows.map(({ digest }) => digest)
  }

  t.test('blobs that no manifest of their repository references are deleted after a day', async (t) => {
    const { announce, age, ports, registry, upload } = await start()
    const raw = image('used')
    await upload(REPOSITORY, ...blobsOf(raw), blob('unused'))
    await announce(raw, 'v1')
    await age(23)
    t.same(await markUnusedBlobs(ports, GRACE), { marked: 0, last: undefined }, 'not yet')
    await age(25)
    t.same(await markUnusedBlobs(ports, 26 * 3600), { marked: 0, last: undefined }, 'a longer grace period')
    t.same(await markUnusedBlobs(ports, GRACE), { marked: 1, last: undefined })
    t.same(await orphans(), [blob('unused')])
    await age(25)
    await deleteOldOrphans(ports)
    t.same([...registry.blobs].toSorted(), blobsOf(raw).toSorted())
    const released = await db.selectFrom('released_digests').select('digest').execute()
    t.same(released, [{ digest: blob('unused') }], 'its data is collected')
  })

  t.test('a blob that a manifest references by its other name is used', async (t) => {
    const { announce, age, index, ports, upload } = await start()
    const content = Buffer.from('layer')
    await upload(REPOSITORY, digestOf(content))
    await index.blobAliases.aliasBlob(REPOSITORY, sha512Of(content), digestOf(content))
    const layers = [{ mediaType: 'x/layer', digest: sha512Of(content), size: 1 }]
    await announce(Buffer.from(JSON.stringify({ ...JSON.parse(image('x').toString()), layers })), 'v1')
    await age(25)
    t.equal((await markUnusedBlobs(ports, GRACE)).marked, 0)
  })

  t.test('many blobs are marked in pages, and a turn continues where the last one ended', async (t) => {
    const { ports } = await start()
    await sql`
      insert into repository_blobs (repository, digest, announced_at)
      select 'team/app', 'sha256:' || lpad(to_hex(number), 64, '0'), now() - interval '2 days'
      from generate_series(1, 21000) number`.execute(db)
    const first = await markUnusedBlobs(ports, GRACE)
    t.equal(first.marked, 20_000)
    const second = await markUnusedBlobs(ports, GRACE, first.last)
    t.same(second, { marked: 1000, last: undefined })
  })
})
