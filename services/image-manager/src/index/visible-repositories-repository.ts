import type { Database } from '@registry-manager/database'
import { isNested, parseRepositoryPattern } from '@registry-manager/oci'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { containing } from './like-pattern.ts'
import type { PageRequest, Repository, RepositoryFilter } from './repository.ts'
import type { Visibility } from './visibility.ts'
import { outermost } from './visibility.ts'

/** Lists repositories in byte order, each list as one statement that reads no further than its page. */
export function createVisibleRepositoriesRepository(db: Database) {
  return {
    async listRepositories(
      visibility: Visibility,
      page: PageRequest & RepositoryFilter,
    ): Promise<Repository[]> {
      const filter = filterOf(page)
      switch (visibility.kind) {
        case 'all':
          return listAll(db, page, filter)
        case 'namespaces':
          return listByNamespaces(db, visibility.namespaces, page, filter)
        case 'patterns':
          return listByPatterns(db, visibility.patterns, page, filter)
      }
    },
  }
}

async function listAll(
  db: Database,
  { limit, after }: PageRequest,
  filter: RawBuilder<unknown>,
): Promise<Repository[]> {
  const { rows } = await sql<Repository>`
    select id, name, scope from repositories
    where name > ${after} and ${filter} order by name limit ${limit}`.execute(db)
  return rows
}

/**
 * Each namespace is a range of the index on names ('0' follows '/' in byte order). The ranges do not overlap and are
 * sorted, so ordering by range and then by name reads nothing behind the end of the page. A namespace of several
 * components also covers the repository of its own name, which lies outside the range.
 */
async function listByNamespaces(
  db: Database,
  visible: readonly string[],
  { limit, after }: PageRequest,
  filter: RawBuilder<unknown>,
): Promise<Repository[]> {
  const namespaces = outermost(visible)
  const { rows } = await sql<Repository>`
    select id, name, scope from (
      (
        select found.* from unnest(${sql.val(namespaces)}::text[])
          with ordinality as own (namespace, position)
        cross join lateral (
          select id, name, scope from repositories
          where name > greatest(${after} collate "C", namespace || '/')
            and name < (namespace || '0') collate "C" and ${filter}
          order by name limit ${limit}
        ) found
        order by own.position, found.name limit ${limit}
      )
      union
      (
        select id, name, scope from repositories
        where name = any(${sql.val(namespaces.filter(isNested))}::text[]) and name > ${after} and ${filter}
        order by name limit ${limit}
      )
      union
      (
        select id, name, scope from repositories
        where scope = 'global' and name > ${after} and ${filter} order by name limit ${limit}
      )
    ) visible order by name limit ${limit}`.execute(db)
  return rows
}

/** A pattern without a wildcard is a name. `prefix/*` is a range of the index on names ('0' follows '/'). */
async function listByPatterns(
  db: Database,
  patterns: readonly string[],
  { limit, after }: PageRequest,
  filter: RawBuilder<unknown>,
): Promise<Repository[]> {
  const parsed = patterns.map(parseRepositoryPattern)
  const names = parsed.flatMap((pattern) => (pattern?.kind === 'one' ? [pattern.name] : []))
  // Names begin with a letter or a digit, which all precede `{` in byte order.
  const ranges = parsed.flatMap((pattern): { first: string; last: string }[] => {
    if (pattern?.kind === 'every') return [{ first: '', last: '{' }]
    return pattern?.kind === 'below' ? [{ first: `${pattern.prefix}/`, last: `${pattern.prefix}0` }] : []
  })
  const [firsts, lasts] = [ranges.map(({ first }) => first), ranges.map(({ last }) => last)]
  const { rows } = await sql<Repository>`
    select distinct id, name, scope from (
      select found.* from unnest(${sql.val(firsts)}::text[], ${sql.val(lasts)}::text[]) as range (first, last)
      cross join lateral (
        select id, name, scope from repositories
        where name > greatest(${after} collate "C", first) and name < last collate "C" and ${filter}
        order by name limit ${limit}
      ) found
      union all (
        select id, name, scope from repositories
        where name = any(${sql.val(names)}::text[]) and name > ${after} and ${filter} order by name limit ${limit}
      )
    ) visible order by name limit ${limit}`.execute(db)
  return rows
}

function filterOf({ search, namespace }: RepositoryFilter): RawBuilder<unknown> {
  const conditions = [
    sql`deleting_since is null`,
    ...(search ? [sql`name like ${containing(search)}`] : []),
    ...(namespace === undefined ? [] : [coveredBy(namespace)]),
  ]
  return sql.join(conditions, sql` and `)
}

/** The rule of `namespaceCovers` as a condition that an index on names serves ('0' follows '/'). */
function coveredBy(namespace: string) {
  const below = sql`(name > ${`${namespace}/`} and name < ${`${namespace}0`})`
  return isNested(namespace) ? sql`(name = ${namespace} or ${below})` : below
}
