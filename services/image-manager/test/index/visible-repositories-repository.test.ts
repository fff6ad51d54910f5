import type { Database } from '@registry-manager/database'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import type { PageRequest, RepositoryFilter } from '../../src/index/repository.ts'
import { createIndexRepositories } from '../../src/index/index.ts'
import type { Visibility } from '../../src/index/visibility.ts'
import { patternsOfNamespace } from '@registry-manager/principal'

const ALL: Visibility = { kind: 'all' }
const seenBy = (...namespaces: string[]): Visibility => ({
  kind: 'patterns',
  patterns: namespaces.flatMap(patternsOfNamespace),
  global: true,
})
/** The order of bytes, as in the registry. */
const byteOrder = (names: readonly string[]) =>
  names.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))

async function fill(db: Database, names: readonly string[], global: readonly string[] = []) {
  await db.deleteFrom('all_repositories').execute()
  const rows = [
    ...names.map((name) => ({ name, scope: 'namespace' as const })),
    ...global.map((name) => ({ name, scope: 'global' as const })),
  ]
  await db.insertInto('repositories').values(rows).execute()
}

void onBothDatabases(t, async (t, db) => {
  const index = createIndexRepositories(db)
  const list = async (visibility: Visibility, page: Partial<PageRequest & RepositoryFilter> = {}) => {
    const rows = await index.visibleRepositories.listRepositories(visibility, {
      limit: 100,
      after: '',
      ...page,
    })
    return rows.map(({ name }) => name)
  }

  await t.test('namespaces that have repositories are listed in byte order, by pages', async (t) => {
    const names = [
      'alpine',
      'team/app',
      'team/sub/app',
      'team-b/app',
      'team0/app',
      'a/b',
      'lab/x',
      'lab/y',
      'zz/1',
    ]
    await fill(db, names, ['shared/app'])
    await db
      .updateTable('all_repositories')
      .set({ deleting_since: new Date() })
      .where('name', '=', 'zz/1')
      .execute()
    const listNamespaces = (page: Partial<PageRequest> = {}) =>
      index.visibleRepositories.listNamespaces({ limit: 100, after: '', ...page })
    t.strictSame(await listNamespaces(), ['a', 'lab', 'shared', 'team', 'team-b', 'team0'])
    t.strictSame(await listNamespaces({ after: 'lab', limit: 2 }), ['shared', 'team'])
    t.strictSame(await listNamespaces({ after: 'team0' }), [])
  })

  await t.test('names come in byte order, independent of the locale', async (t) => {
    const names = ['ab', 'a/b', 'a-b', 'a.b', 'a_b', 'a0', 'a', 'b/a', 'a/b/c', 'a--b', 'a/bc', 'zz/1', '0/0']
    await fill(db, names)
    t.same(await list(ALL), byteOrder(names))
    t.same(await list(seenBy('a', 'b')), ['a/b', 'a/b/c', 'a/bc', 'b/a'])
    for (const after of ['', 'a', 'a-b', 'a/b', 'a/b!', 'zz/1', 'zzz']) {
      const expected = byteOrder(names).filter(
        (name) => Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0,
      )
      t.same(await list(ALL, { after }), expected, `after ${after} is exclusive`)
    }
  })

  await t.test(
    'a namespace covers whole components, and the repository of its own name if it has several components',
    async (t) => {
      await fill(db, [
        'team',
        'team/a',
        'team/a/b',
        'teams/x',
        'team-a/x',
        'team.a/x',
        'team0',
        'team_a/x',
        'tea/m',
      ])
      t.same(await list(seenBy('team')), ['team/a', 'team/a/b'])
      t.same(await list(seenBy('team/a')), ['team/a', 'team/a/b'])
      t.same(await list(seenBy('team/a/b', 'tea/m')), ['tea/m', 'team/a/b'])
      t.same(await list(seenBy('team/a'), { limit: 1 }), ['team/a'])
      t.same(await list(seenBy('team/a'), { limit: 1, after: 'team/a' }), ['team/a/b'])
      t.same(await list(seenBy()), [])
      t.same(await list(ALL, { namespace: 'team' }), ['team/a', 'team/a/b'])
      t.same(await list(seenBy('tea'), { namespace: 'team' }), [], 'a filter restricts the list')
      t.same(await list(seenBy('team', 'tea'), { namespace: 'team/a' }), ['team/a', 'team/a/b'])
      t.same(
        await list(seenBy('team/a/b'), { namespace: 'team/a' }),
        ['team/a/b'],
        'a filter shows no repository outside the namespaces',
      )
    },
  )

  await t.test('every user sees global repositories, each once', async (t) => {
    await fill(db, ['team/a', 'team/c', 'other/a'], ['team/b', 'other/b', 'alpine'])
    t.same(await list(seenBy()), ['alpine', 'other/b', 'team/b'])
    t.same(await list(seenBy('team', 'team', 'team/b')), ['alpine', 'other/b', 'team/a', 'team/b', 'team/c'])
    t.same(await list(ALL), ['alpine', 'other/a', 'other/b', 'team/a', 'team/b', 'team/c'])
    t.same(await list(seenBy('team'), { namespace: 'other' }), ['other/b'])
    t.same(
      Object.keys(await index.globalScope.findGlobalMarks(['team/a', 'team/b', 'none', 'alpine'])).toSorted(),
      ['alpine', 'team/b'],
    )
  })

  await t.test('pages are full, and together have every repository once', async (t) => {
    const namespaces = Array.from({ length: 40 }, (_, at) => `n${at}`)
    const mine = namespaces.flatMap((namespace) => ['a', 'b', 'c/d'].map((name) => `${namespace}/${name}`))
    const foreign = Array.from({ length: 300 }, (_, at) => `n${at % 60}-foreign/${at}`)
    const global = Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? `n${at}/global` : `shared/${at}`))
    await fill(db, [...mine, ...foreign], global)
    const expected = byteOrder([...mine, ...global])
    for (const limit of [7, 50]) {
      const pages: string[][] = []
      for (let page = await list(seenBy(...namespaces), { limit }); page.length > 0;) {
        pages.push(page)
        page = await list(seenBy(...namespaces), { limit, after: page.at(-1) ?? '' })
      }
      t.same(pages.flat(), expected, `by ${limit}`)
      t.ok(
        pages.slice(0, -1).every((page) => page.length === limit),
        'all pages but the last are full',
      )
    }
  })

  await t.test('nested, repeated and unordered namespaces list each repository once', async (t) => {
    const components = ['a', 'a-b', 'a.b', 'a0', 'ab', 'b']
    const names = [
      ...components,
      ...components.flatMap((one) => components.map((other) => `${one}/${other}`)),
      ...components.flatMap((one) => components.map((other) => `${one}/b/${other}`)),
    ]
    const isGlobal = (name: string) => name.endsWith('0')
    await fill(
      db,
      names.filter((name) => !isGlobal(name)),
      names.filter(isGlobal),
    )
    const sets = [
      ['b', 'a'],
      ['a', 'a/b', 'a/b', 'a'],
      ['a/b', 'ab', 'a/b/a', 'a-b'],
      ['a0', 'a.b', 'a-b', 'a'],
      ['b/b', 'a-b/b', 'a/b', 'ab/b', 'a.b/b'],
      components.toReversed(),
    ]
    for (const namespaces of sets) {
      const sees = (name: string) =>
        isGlobal(name) ||
        namespaces.some(
          (namespace) => name.startsWith(`${namespace}/`) || (namespace.includes('/') && name === namespace),
        )
      const expected = byteOrder(names.filter(sees))
      for (const after of ['', 'a', 'a-b/b', 'a/b', 'a/b/ab', 'ab/zzz', 'z']) {
        for (const limit of [1, 5, 100]) {
          const page = expected.filter((name) => name > after).slice(0, limit)
          t.same(
            await list(seenBy(...namespaces), { after, limit }),
            page,
            `${namespaces}: ${limit} after ${after}`,
          )
        }
      }
    }
  })

  await t.test('no character of a search has a special meaning', async (t) => {
    const names = ['team/a_b', 'team/axb', 'team/a.b', 'other/a_b', 'team/back']
    await fill(db, names)
    const cases: [string, string[]][] = [
      ['a_b', ['other/a_b', 'team/a_b']],
      ['a.b', ['team/a.b']],
      ['%', []],
      ['_', ['other/a_b', 'team/a_b']],
      [String.raw`\_`, []],
      ['\\', []],
      ["'", []],
      ['A_B', []],
      ['', byteOrder(names)],
      ['team/b', ['team/back']],
    ]
    for (const [search, expected] of cases)
      t.same(await list(ALL, { search }), expected, JSON.stringify(search))
    t.same(await list(seenBy('team'), { search: 'a_b' }), ['team/a_b'])
    t.same(await list(seenBy('team'), { search: 'b', limit: 2, after: 'team/a.b' }), ['team/a_b', 'team/axb'])
  })

  await t.test('a repository that is being deleted is in no list, global or not', async (t) => {
    await fill(db, ['team/a', 'team/b'], ['team/c'])
    await db
      .updateTable('repositories')
      .set({ deleting_since: new Date() })
      .where('name', '!=', 'team/b')
      .execute()
    for (const visibility of [ALL, seenBy('team')]) t.same(await list(visibility), ['team/b'])
    t.equal(await index.repositories.findRepository('team/a'), undefined)
    t.equal((await index.repositories.findRepository('team/b'))?.name, 'team/b')
    t.same(await index.globalScope.findGlobalMarks(['team/c']), {})
  })
})
