import { randomUUID } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import { createListImages } from '../../src/pulls/list-images.ts'
import { createPullsRepositories } from '../../src/pulls/index.ts'
import type { PullCount } from '../../src/pulls/pull-count.ts'
import { removeOldPulls } from '../../src/pulls/remove-old-pulls.ts'

const digest = (letter: string) => `sha256:${letter.repeat(64)}`
const [ONE, TWO, GONE] = [digest('1'), digest('2'), digest('f')]
const AT = new Date('2026-11-01T12:00:00Z')
const LATER = new Date('2026-11-02T12:00:00Z')

/** Fills the index: `team/app` with two manifests and the tags `v1` and `v2`, and `team/other` with the first one. */
async function fill(db: Database): Promise<Readonly<Record<string, string>>> {
  for (const table of ['all_repositories', 'tag_pulls', 'manifest_pulls', 'pull_batches'] as const)
    await db.deleteFrom(table).execute()
  const ids: Record<string, string> = {}
  for (const name of ['team/app', 'team/other']) {
    const { id } = await db
      .insertInto('all_repositories')
      .values({ name })
      .returning('id')
      .executeTakeFirstOrThrow()
    ids[name] = id
    for (const digest of name === 'team/app' ? [ONE, TWO] : [ONE])
      await sql`insert into all_manifests (repository_id, digest, media_type, raw) values (${id}, ${digest}, 'x',
        ${Buffer.from(digest)})`.execute(db)
  }
  const tags = [
    { name: 'v1', digest: ONE },
    { name: 'v2', digest: TWO },
  ].map((tag) => ({ ...tag, repository_id: ids['team/app'] ?? '' }))
  await db.insertInto('tags').values(tags).execute()
  return ids
}

const pull = (given: Partial<PullCount> = {}): PullCount => ({
  repository: 'team/app',
  digest: ONE,
  count: 1,
  lastAt: AT,
  ...given,
})

await onBothDatabases(t, async (t, db) => {
  const { pulls, lists } = createPullsRepositories(db)
  const list = createListImages({ lists })
  const PAGE = { limit: 10, after: '' }
  const counts = async (id = '') => {
    const [tags, manifests] = [await list.tags(id, PAGE), await list.manifests(id, PAGE)]
    const shown = ({ pulls, lastPulledAt }: { pulls: number; lastPulledAt: Date | null }) => [
      pulls,
      lastPulledAt?.toISOString() ?? null,
    ]
    return Object.fromEntries([
      ...tags.items.map((tag) => [tag.name, shown(tag)]),
      ...manifests.items.map((manifest) => [manifest.digest.slice(7, 8), shown(manifest)]),
    ])
  }

  await t.test(
    'a pull by tag counts for the tag and its manifest, one by digest for the manifest',
    async (t) => {
      const ids = await fill(db)
      await pulls.addPulls(randomUUID(), [
        pull({ tag: 'v1', count: 3 }),
        pull({ count: 2, lastAt: LATER }),
        pull({ repository: 'team/other', count: 5 }),
      ])
      await pulls.addPulls(randomUUID(), [pull({ tag: 'v1', count: 4, lastAt: AT })])
      t.strictSame(await counts(ids['team/app']), {
        v1: [7, AT.toISOString()],
        v2: [0, null],
        1: [9, LATER.toISOString()],
        2: [0, null],
      })
      t.strictSame(await counts(ids['team/other']), { 1: [5, AT.toISOString()] })
    },
  )

  await t.test('a batch that is sent again is added once', async (t) => {
    const ids = await fill(db)
    const batch = randomUUID()
    for (let sent = 0; sent < 3; sent += 1) await pulls.addPulls(batch, [pull({ tag: 'v1' })])
    await Promise.all([1, 2].map(() => pulls.addPulls(batch, [pull({ tag: 'v1' })])))
    t.match(await counts(ids['team/app']), { v1: [1], 1: [1] })
  })

  await t.test(
    'a sha512 digest counts for the manifest; content that the index does not have is ignored',
    async (t) => {
      const ids = await fill(db)
      const { rows } = await sql<{
        sha512: string
      }>`select sha512 from manifests where digest = ${TWO}`.execute(db)
      await pulls.addPulls(randomUUID(), [
        pull({ digest: rows[0]?.sha512 ?? '' }),
        pull({ digest: GONE, tag: 'v1' }),
        pull({ repository: 'team/none' }),
        pull({ tag: 'none' }),
      ])
      t.match(await counts(ids['team/app']), { v1: [0], v2: [0], 1: [1], 2: [1] })
    },
  )

  await t.test('a clock that is ahead does not make a time of the future', async (t) => {
    const ids = await fill(db)
    await pulls.addPulls(randomUUID(), [pull({ lastAt: new Date(Date.now() + 3_600_000) })])
    const { items } = await list.manifests(ids['team/app'] ?? '', PAGE)
    t.ok((items[0]?.lastPulledAt?.getTime() ?? Infinity) <= Date.now() + 1000)
  })

  await t.test('batches that name the same tags in different orders do not block each other', async (t) => {
    const ids = await fill(db)
    const some = [pull({ tag: 'v1' }), pull({ tag: 'v2', digest: TWO }), pull({ repository: 'team/other' })]
    const batches = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? some : some.toReversed()))
    await Promise.all(batches.map((batch) => pulls.addPulls(randomUUID(), batch)))
    t.match(await counts(ids['team/app']), { v1: [40], v2: [40], 1: [40], 2: [40] })
  })

  await t.test(
    'counts of tags and manifests that were deleted a month ago are removed, in pages',
    async (t) => {
      const ids = await fill(db)
      const id = ids['team/app'] ?? ''
      const old = { pulls: 1, last_pulled_at: AT }
      const tags = ['v1', 'v2', ...Array.from({ length: 6000 }, (_, at) => `gone-${at}`)]
      for (let at = 0; at < tags.length; at += 2000)
        await db
          .insertInto('tag_pulls')
          .values(tags.slice(at, at + 2000).map((tag) => ({ repository_id: id, tag, ...old })))
          .execute()
      const manifests = [ONE, GONE].map((digest) => ({ repository_id: id, digest, ...old }))
      await db.insertInto('manifest_pulls').values(manifests).execute()
      await db
        .insertInto('tag_pulls')
        .values({ repository_id: id, tag: 'recent', pulls: 1, last_pulled_at: LATER })
        .execute()
      await db.insertInto('pull_batches').values({ id: randomUUID(), added_at: AT }).execute()
      await db.insertInto('pull_batches').values({ id: randomUUID() }).execute()
      const { signal } = new AbortController()
      await removeOldPulls({ pulls, now: () => LATER.getTime() + 30 * 86_400_000 }, signal)
      const left = await db.selectFrom('tag_pulls').select('tag').orderBy('tag').execute()
      t.strictSame(
        left.map(({ tag }) => tag),
        ['recent', 'v1', 'v2'],
      )
      const digests = await db.selectFrom('manifest_pulls').select('digest').execute()
      t.strictSame(
        digests.map(({ digest }) => digest),
        [ONE],
      )
      t.equal((await db.selectFrom('pull_batches').select('id').execute()).length, 1)
    },
  )

  await t.test('lists of tags and manifests with pulls come in pages', async (t) => {
    const ids = await fill(db)
    const id = ids['team/app'] ?? ''
    const first = await list.tags(id, { limit: 1, after: '' })
    t.match(first, { items: [{ name: 'v1', digest: ONE }], next: 'v1' })
    t.match(await list.tags(id, { limit: 1, after: 'v1' }), { items: [{ name: 'v2' }], next: null })
    const page = await list.manifests(id, { limit: 1, after: ONE })
    t.match(page, { items: [{ digest: TWO, tags: ['v2'], size: TWO.length, mediaType: 'x' }], next: null })
  })
})
