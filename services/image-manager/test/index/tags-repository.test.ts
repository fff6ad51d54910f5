import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createIndexRepositories } from '../../src/index/index.ts'

void onBothDatabases(t, async (t, db) => {
  const index = createIndexRepositories(db)

  await t.test('tags come in byte order, upper case before lower case', async (t) => {
    await db
      .insertInto('repositories')
      .values([{ name: 'team/a' }, { name: 'team/b' }])
      .execute()
    const ids = await db.selectFrom('repositories').select(['id', 'name']).orderBy('name').execute()
    const [id = '', other = ''] = ids.map((row) => row.id)
    const digest = 'sha256:0'
    const manifest = { digest, media_type: 'x/y', raw: Buffer.from('{"a": 1}') }
    await db
      .insertInto('manifests')
      .values([id, other].map((repository_id) => ({ repository_id, ...manifest })))
      .execute()
    const names = ['latest', 'Latest', '1.0', '1-0', '1_0', '10', '_x', 'Z', 'a']
    await db
      .insertInto('tags')
      .values([
        ...names.map((name) => ({ repository_id: id, name, digest })),
        { repository_id: other, name: 'of-another', digest },
      ])
      .execute()
    const sorted = ['1-0', '1.0', '10', '1_0', 'Latest', 'Z', '_x', 'a', 'latest']
    t.same(await index.tags.listTags(id, { limit: 100, after: '' }), sorted)
    t.same(await index.tags.listTags(id, { limit: 3, after: 'Latest' }), ['Z', '_x', 'a'])
    t.same(await index.tags.listTags(id, { limit: 3, after: 'latest' }), [])
    const tagged = (await Array.fromAsync(index.taggedManifests.readTaggedManifests([id]))).flat()
    t.same(
      tagged.map(({ name, manifest }) => [name, manifest]),
      sorted.map((name) => [name, '{"a": 1}']),
    )
    t.same(await index.manifests.filterManifests('team/a', [digest, 'sha256:1']), new Set([digest]))
    t.same(await index.manifests.filterManifests('team/a', []), new Set())
  })
})
