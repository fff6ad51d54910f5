import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { createIndexRepositories } from '../../src/index/index.ts'

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`

void onBothDatabases(t, async (t, db) => {
  const { manifestLookup } = createIndexRepositories(db)
  /** The descriptions in the order of the names; null for a manifest that does not exist. */
  const describe = async (names: Parameters<typeof manifestLookup.describeManifests>[0]) => {
    const found = await manifestLookup.describeManifests(names)
    const described = found.map(({ position, ...facts }) => [position, facts] as const)
    return names.map((_, position) => new Map(described).get(position) ?? null)
  }
  await db
    .insertInto('repositories')
    .values([{ name: 'team/a' }, { name: 'team/b' }])
    .execute()
  const ids = await db.selectFrom('repositories').select('id').orderBy('name').execute()
  const [first = '', second = ''] = ids.map(({ id }) => id)
  const raw = Buffer.from('{}')
  await db
    .insertInto('all_manifests')
    .values([
      { repository_id: first, digest: digestOf('1'), media_type: 'type/1', raw, state: 'recorded' },
      { repository_id: first, digest: digestOf('2'), media_type: 'type/2', raw, state: 'index-only' },
      { repository_id: first, digest: digestOf('3'), media_type: 'type/3', raw, state: 'pending' },
      { repository_id: second, digest: digestOf('4'), media_type: 'type/4', raw, state: 'recorded' },
    ])
    .execute()
  await db
    .insertInto('tags')
    .values([
      { repository_id: first, name: 'latest', digest: digestOf('1') },
      { repository_id: second, name: 'latest', digest: digestOf('4') },
    ])
    .execute()
  const named = (repository: string, reference: string) => ({ repository, reference })
  const one = { digest: digestOf('1'), mediaType: 'type/1', indexOnly: false }

  await t.test('manifests are described in the order of their names', async (t) => {
    const described = await describe([
      named('team/b', 'latest'),
      named('team/a', digestOf('2')),
      named('team/a', 'latest'),
      named('team/a', digestOf('1')),
      named('team/a', 'latest'),
    ])
    t.same(described, [
      { digest: digestOf('4'), mediaType: 'type/4', indexOnly: false },
      { digest: digestOf('2'), mediaType: 'type/2', indexOnly: true },
      one,
      one,
      one,
    ])
    t.same(await describe([]), [])
  })

  await t.test('an unknown manifest is null: of another repository, pending, or without a tag', async (t) => {
    const unknown = [
      named('team/a', digestOf('4')),
      named('team/a', digestOf('3')),
      named('team/a', 'other'),
      named('team/none', 'latest'),
      named('', ''),
    ]
    t.same(
      await describe(unknown),
      unknown.map(() => null),
    )
    t.same(await describe([named('team/a', 'other'), named('team/a', 'latest')]), [null, one])
  })

  await t.test('a repository that is being deleted has no manifests', async (t) => {
    await db.updateTable('repositories').set({ deleting_since: new Date() }).where('id', '=', first).execute()
    t.same(await describe([named('team/a', 'latest')]), [null])
  })
})
