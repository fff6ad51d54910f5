import type { Database } from '@registry-manager/database'
import { anyOf } from '@registry-manager/database'
import { sql } from 'kysely'
import type { GlobalMark } from '@registry-manager/oci'
import { LONGEST_TOKEN_SECONDS } from './global-scope.ts'

/**
 * Makes a repository private if it is global, in one statement. Raises its generation, which stays listed until every
 * token that was granted for the global scope has expired.
 */
export async function endGlobal(db: Database, repositoryId: string): Promise<void> {
  await sql`
    with ended as (
      update repositories set scope = 'namespace', global_generation = global_generation + 1
      where id = ${repositoryId} and scope = 'global'
      returning number, global_generation
    ), purged as (
      delete from ended_globals
      where ended_at < now() - make_interval(secs => ${sql.lit(LONGEST_TOKEN_SECONDS)})
        and number not in (select number from ended)
    )
    insert into ended_globals (number, least_generation)
    select number, global_generation from ended
    on conflict (number) do update set least_generation = excluded.least_generation, ended_at = now()`.execute(
    db,
  )
}

export function createGlobalScopeRepository(db: Database) {
  return {
    async findGlobalMarks(names: readonly string[]): Promise<Record<string, GlobalMark>> {
      const rows = await db
        .selectFrom('repositories')
        .select(['name', 'number', 'global_generation'])
        .where('name', '=', anyOf(names))
        .where('scope', '=', 'global')
        .where('deleting_since', 'is', null)
        .execute()
      return Object.fromEntries(rows.map((row) => [row.name, [row.number, row.global_generation]]))
    },

    /** By repository number: the lowest valid generation of each repository that stopped being global recently. */
    async listEndedGlobalScopes(withinSeconds: number): Promise<Record<string, number>> {
      const rows = await db
        .selectFrom('ended_globals')
        .select(['number', 'least_generation'])
        .where('ended_at', '>', sql<Date>`now() - make_interval(secs => ${sql.lit(withinSeconds)})`)
        .execute()
      return Object.fromEntries(rows.map((row) => [row.number, row.least_generation]))
    },
  }
}
