import type { Database } from '@registry-manager/database'
import { parseRepositoryPattern } from '@registry-manager/oci'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import type { PageOptions, RepositoryRow } from './index-queries.ts'

/**
 * One page of the repositories that patterns cover. A name is found by itself and `prefix/*` is a range of the
 * index on names ('0' comes after '/'), read no further than the page.
 */
export async function listByPatterns(
  db: Database,
  patterns: readonly string[],
  { limit, after }: Pick<PageOptions, 'limit' | 'after'>,
  filter: RawBuilder<unknown>,
): Promise<RepositoryRow[]> {
  const parsed = patterns.map(parseRepositoryPattern)
  const names = parsed.flatMap((pattern) => (pattern?.kind === 'one' ? [pattern.name] : []))
  // Names begin with a letter or a digit, and all of those come before `{`.
  const ranges = parsed.flatMap((pattern): { first: string; last: string }[] => {
    if (pattern?.kind === 'every') return [{ first: '', last: '{' }]
    return pattern?.kind === 'below' ? [{ first: `${pattern.prefix}/`, last: `${pattern.prefix}0` }] : []
  })
  const [firsts, lasts] = [ranges.map(({ first }) => first), ranges.map(({ last }) => last)]
  const { rows } = await sql<RepositoryRow>`
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
