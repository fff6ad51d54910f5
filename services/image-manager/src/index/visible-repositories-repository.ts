import type { Database } from '@registry-manager/database'
import { anyOf } from '@registry-manager/database'
import { isNested } from '@registry-manager/oci'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { containing } from './like-pattern.ts'
import type { PageRequest, Repository, RepositoryFilter } from './repository.ts'
import type { Visibility } from './visibility.ts'
import { toRanges } from './visibility.ts'

/** Lists repositories in byte order, each list as one statement that reads no further than its page. */
export function createVisibleRepositoriesRepository(db: Database) {
  return {
    async listRepositories(
      visibility: Visibility,
      page: PageRequest & RepositoryFilter,
    ): Promise<Repository[]> {
      const filter = filterOf(page)
      return visibility.kind === 'all'
        ? listAll(db, page, filter)
        : listByPatterns(db, visibility, page, filter)
    },

    /** The first components of the names of repositories. Each name costs one lookup in an index. */
    async listNamespaces({ limit, after }: PageRequest): Promise<string[]> {
      const namespace = sql`split_part(name, '/', 1)`
      const next = (previous: RawBuilder<unknown>) => sql`
        select ${namespace} as namespace from repositories
        where ${namespace} > ${previous} and position('/' in name) > 0 and deleting_since is null
        order by 1 limit 1`
      const { rows } = await sql<{ namespace: string }>`
        with recursive namespaces as (
          (${next(sql`${after} collate "C"`)})
          union all
          select following.namespace from namespaces
          cross join lateral (${next(sql`namespaces.namespace`)}) following
        )
        select namespace from namespaces limit ${limit}`.execute(db)
      return rows.map((row) => row.namespace)
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
 * A pattern without a wildcard is a name. `prefix/*` is a range of the index on names ('0' follows '/' in byte order).
 * The ranges do not overlap and are sorted, so ordering by range and then by name reads nothing behind the end of the
 * page.
 */
async function listByPatterns(
  db: Database,
  visibility: Extract<Visibility, { kind: 'patterns' }>,
  page: PageRequest,
  filter: RawBuilder<unknown>,
): Promise<Repository[]> {
  const { everything, below, names } = toRanges(visibility.patterns)
  if (everything) return listAll(db, page, filter)
  const { limit, after } = page
  const global = sql`
    union (
      select id, name, scope from repositories
      where scope = 'global' and name > ${after} and ${filter} and ${isWithin(visibility.global)}
      order by name limit ${limit}
    )`
  const { rows } = await sql<Repository>`
    select id, name, scope from (
      (
        select found.* from unnest(${sql.val(below)}::text[])
          with ordinality as range (prefix, position)
        cross join lateral (
          select id, name, scope from repositories
          where name > greatest(${after} collate "C", prefix || '/')
            and name < (prefix || '0') collate "C" and ${filter}
          order by name limit ${limit}
        ) found
        order by range.position, found.name limit ${limit}
      )
      union
      (
        select id, name, scope from repositories
        where name = ${anyOf(names)} and name > ${after} and ${filter}
        order by name limit ${limit}
      )
      ${visibility.global ? global : sql``}
    ) visible order by name limit ${limit}`.execute(db)
  return rows
}

/** Whether patterns cover a name. True covers all names. Global repositories are few: the index by scope is enough. */
function isWithin(patterns: boolean | readonly string[]): RawBuilder<unknown> {
  if (typeof patterns === 'boolean') return sql`true`
  const { everything, below, names } = toRanges(patterns)
  if (everything) return sql`true`
  return sql`(name = ${anyOf(names)} or exists (
    select from unnest(${sql.val(below)}::text[]) as range (prefix) where starts_with(name, prefix || '/')))`
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
