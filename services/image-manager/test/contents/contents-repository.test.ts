import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createContentsRepository } from '../../src/contents/contents-repository.ts'
import { parseManifest } from '../../src/index/manifest.ts'
import { INDEX, MANIFEST, repositoriesOf } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const descriptor = (content: string, size: number, mediaType = 'application/octet-stream') => ({
  mediaType,
  digest: digestOf(Buffer.from(content)),
  size,
})
const image = (config: string, ...layers: string[]) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: descriptor(config, 100),
      layers: layers.map((layer) => descriptor(layer, 1000)),
    }),
  )
const ALL = { offset: 0, limit: 100, orderBy: '' }

void onBothDatabases(t, async (t, db) => {
  const index = repositoriesOf(db)
  const contents = createContentsRepository(db)
  const push = async (repository: string, raw: Buffer, tags: readonly string[] = [], type = MANIFEST) => {
    const parsed = parseManifest(raw, type)
    if ('malformed' in parsed) throw new Error(parsed.malformed)
    await index.manifests.putManifest(repository, parsed.manifest)
    for (const tag of tags) {
      const { revision } = await index.tags.findTag(repository, tag)
      await index.tags.setTag(repository, tag, parsed.manifest.digest, revision)
    }
    return parsed.manifest.digest
  }
  const names = async (page: Partial<Parameters<typeof contents.listRepositories>[0]> = {}) => {
    const { items, total } = await contents.listRepositories({ ...ALL, ...page })
    return [items.map(({ name }) => name), total] as const
  }

  t.equal(await contents.sumBytes(), 0, 'an empty registry uses 0 bytes')
  const one = await push('team/one', image('c1', 'l1', 'l2'), ['v1', 'latest'])
  const two = await push('team/two', image('c2', 'l2', 'l3'), ['v1'])
  const untagged = await push('team/two', image('c3', 'l3'))
  await push('alpine', image('c1', 'l1', 'l2'))
  await push(
    'team/one',
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [] })),
    [],
    INDEX,
  )
  const at = (minutes: number) => new Date(Date.UTC(2026, 10, 21, 12, minutes))
  const order = ['alpine', 'team/two', 'team/one']
  for (const [minutes, name] of order.entries()) {
    await db
      .updateTable('repositories')
      .set({ updated_at: at(minutes) })
      .where('name', '=', name)
      .execute()
  }
  await db
    .updateTable('manifests')
    .set({ pushed_at: at(0) })
    .where('digest', '=', two)
    .execute()
  await db
    .updateTable('manifests')
    .set({ pushed_at: at(9) })
    .where('digest', '=', untagged)
    .execute()

  await t.test('repositories are listed in every supported order', async (t) => {
    t.strictSame(await names({ orderBy: '-lastPush' }), [order.toReversed(), 3])
    t.strictSame(await names({ orderBy: 'lastPush' }), [order, 3])
    t.strictSame(await names({ orderBy: 'name' }), [['alpine', 'team/one', 'team/two'], 3])
    t.strictSame(await names({ orderBy: '-name' }), [['team/two', 'team/one', 'alpine'], 3])
    t.strictSame(await names({ orderBy: '-artifactCount' }), [['team/one', 'team/two', 'alpine'], 3])
    t.strictSame((await names({ orderBy: '-pullCount' }))[1], 3, 'an unsupported order is no error')
    t.strictSame(await names({ orderBy: 'name', offset: 1, limit: 1 }), [['team/one'], 3])
    t.strictSame(await names({ orderBy: 'name', search: 'team' }), [['team/one', 'team/two'], 2])
    t.strictSame(await names({ search: '%' }), [[], 0], 'a percent sign is matched literally')
    t.strictSame(await names({ name: 'team/one' }), [['team/one'], 1])
    const { items } = await contents.listRepositories({ ...ALL, name: 'team/one' })
    t.match(items, [{ name: 'team/one', artifacts: 2, pushedAt: at(2), createdAt: Date }])
  })

  await t.test('artifacts are listed with their tags, by repository and by digest', async (t) => {
    const listed = await contents.listArtifacts({ ...ALL, repository: 'team/two', orderBy: '-lastPush' })
    t.match(listed, {
      total: 2,
      items: [
        { repository: 'team/two', digest: untagged, tags: [], mediaType: MANIFEST, pushedAt: at(9) },
        { repository: 'team/two', digest: two, tags: ['v1'], pushedAt: at(0) },
      ],
    })
    const oldest = await contents.listArtifacts({
      ...ALL,
      repository: 'team/two',
      orderBy: 'lastPush',
      limit: 1,
    })
    t.match(oldest, { total: 2, items: [{ digest: two }] })
    const found = await contents.listArtifacts({ ...ALL, repository: 'team/one', digest: one })
    t.match(found, { total: 1, items: [{ digest: one, tags: ['latest', 'v1'] }] })
    t.match(await contents.listArtifacts({ ...ALL, repository: 'team/two', digest: one }), {
      total: 0,
      items: [],
    })
    t.equal(
      (await contents.listArtifacts(ALL)).total,
      5,
      'without a filter, artifacts of all repositories are listed',
    )
  })

  await t.test('the sum of bytes counts every digest once', async (t) => {
    const { rows } = await db
      .selectFrom('manifests')
      .select(['digest', 'raw'])
      .execute()
      .then((all) => ({ rows: all }))
    const manifests = new Map(rows.map(({ digest, raw }) => [digest, raw.length]))
    const bytes = [...manifests.values()].reduce((sum, size) => sum + size, 0)
    t.equal(await contents.sumBytes(), bytes + 3 * 100 + 3 * 1000)
  })

  await t.test('contents leave out a repository that is being deleted', async (t) => {
    await index.deletions.beginDeletion('team/two')
    t.strictSame(await names({ orderBy: 'name' }), [['alpine', 'team/one'], 2])
    t.equal((await contents.listArtifacts(ALL)).total, 3)
    t.strictSame(
      [await contents.hasRepository('team/two'), await contents.hasRepository('team/one')],
      [false, true],
    )
  })
})
