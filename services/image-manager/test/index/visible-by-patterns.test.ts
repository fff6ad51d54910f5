import { patternCovers } from '@registry-manager/oci'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import type { PageRequest, RepositoryFilter } from '../../src/index/repository.ts'
import { createIndexRepositories } from '../../src/index/index.ts'

const NAMES = [
  '0/0',
  'a',
  'a-b',
  'a.b',
  'a/b',
  'a/b/c',
  'a/bc',
  'a0',
  'a_b',
  'ab',
  'app',
  'other/app',
  'other/app2',
  'team',
  'team-b/x',
  'team.b/x',
  'team/a',
  'team/app',
  'team/app/x',
  'team/sub/x',
  'team/sub/x/y',
  'team0',
  'team_b/x',
  'teams/x',
  'z',
  'zz/zz',
  'zz/zz/zz',
]
const byteOrder = (names: readonly string[]) =>
  names.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))

const PATTERNS: readonly (readonly string[])[] = [
  [],
  ['*'],
  ['team/*'],
  ['team'],
  ['team/app'],
  ['team', 'team/*'],
  ['team/*', 'team/sub/*', 'team/sub/x'],
  ['team/*', '*', 'a'],
  ['a/*', 'zz/*', 'app', 'nothing/*', 'nothing'],
  ['zz/zz/zz', '0/0', 'a-b'],
  ['te*', 'not a pattern', ''],
]

void onBothDatabases(t, async (t, db) => {
  const index = createIndexRepositories(db)
  const rows = NAMES.map((name) => ({
    name,
    scope: name.startsWith('other/') ? ('global' as const) : ('namespace' as const),
  }))
  await db.insertInto('repositories').values(rows).execute()
  const list = async (patterns: readonly string[], page: Partial<PageRequest & RepositoryFilter> = {}) => {
    const found = await index.visibleRepositories.listRepositories(
      { kind: 'patterns', patterns, global: false },
      { limit: 100, after: '', ...page },
    )
    return found.map(({ name }) => name)
  }

  await t.test(
    'a list by patterns has each covered repository once, in byte order, and no other global ones',
    async (t) => {
      for (const patterns of PATTERNS) {
        const covered = NAMES.filter((name) => patterns.some((pattern) => patternCovers(pattern, name)))
        t.strictSame(await list(patterns), byteOrder(covered), patterns.join(' '))
        const pages: string[] = []
        for (let page = await list(patterns, { limit: 2 }); page.length > 0;) {
          pages.push(...page)
          page = await list(patterns, { limit: 2, after: page.at(-1)! })
        }
        t.strictSame(pages, byteOrder(covered), `${patterns.join(' ')}, in pages`)
      }
    },
  )

  await t.test(
    'a list by patterns can add the global repositories that further patterns cover',
    async (t) => {
      const listed = async (patterns: readonly string[], globals: readonly string[]) => {
        const page = { limit: 100, after: '' }
        const found = await index.visibleRepositories.listRepositories(
          { kind: 'patterns', patterns, global: globals },
          page,
        )
        return found.map(({ name }) => name)
      }
      t.strictSame(await listed(['app'], ['*']), ['app', 'other/app', 'other/app2'])
      t.strictSame(await listed(['app', 'other/*'], ['other/app']), ['app', 'other/app', 'other/app2'])
      t.strictSame(await listed([], ['other/app2', 'team/*']), ['other/app2'], 'no others than global ones')
    },
  )

  await t.test('filters restrict a list by patterns', async (t) => {
    t.strictSame(await list(['team/*'], { search: 'sub' }), ['team/sub/x', 'team/sub/x/y'])
    t.strictSame(await list(['team/*', 'app'], { search: 'app' }), ['app', 'team/app', 'team/app/x'])
    t.strictSame(await list(['*'], { namespace: 'team/sub' }), ['team/sub/x', 'team/sub/x/y'])
    t.strictSame(await list(['team/app'], { namespace: 'other' }), [])
  })

  await t.test('a list by patterns leaves out repositories that are being deleted', async (t) => {
    await db
      .updateTable('repositories')
      .set({ deleting_since: new Date() })
      .where('name', 'in', ['team/app', 'app'])
      .execute()
    t.strictSame(await list(['team/app', 'app', 'team/app/*']), ['team/app/x'])
  })
})
