import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'

/** No token lives longer, in seconds: TOKEN_TTL_SECONDS is at most an hour. */
const TOKEN_SECONDS = 2 * 3600

/**
 * Makes a repository private, if it is global, and has the tokens that were granted for that refused: its generation
 * is raised, and stays listed for as long as such a token may live. One statement.
 */
export async function endGlobal(db: Database, repositoryId: string): Promise<void> {
  await sql`
    with ended as (
      update repositories set scope = 'namespace', global_generation = global_generation + 1
      where id = ${repositoryId} and scope = 'global'
      returning number, global_generation
    ), purged as (
      delete from ended_globals
      where ended_at < now() - make_interval(secs => ${sql.lit(TOKEN_SECONDS)})
        and number not in (select number from ended)
    )
    insert into ended_globals (number, least_generation)
    select number, global_generation from ended
    on conflict (number) do update set least_generation = excluded.least_generation, ended_at = now()`.execute(
    db,
  )
}

/** Which repositories are global, and which have ceased to be. */
export function createGlobalScope(db: Database) {
  return {
    /** Those of the names that are global, each with what a token says of that: its number and generation. */
    async findGlobalMarks(names: readonly string[]): Promise<Record<string, [number, number]>> {
      const rows = await db
        .selectFrom('repositories')
        .select(['name', 'number', 'global_generation'])
        .where('name', '=', sql<string>`any(${sql.val([...names])}::text[])`)
        .where('scope', '=', 'global')
        .where('deleting_since', 'is', null)
        .execute()
      return Object.fromEntries(rows.map((row) => [row.name, [row.number, row.global_generation]]))
    },

    /** The least living generation of repositories that ceased to be global, by number. */
    async listEndedGlobals(): Promise<Record<string, number>> {
      const rows = await db
        .selectFrom('ended_globals')
        .select(['number', 'least_generation'])
        .where('ended_at', '>', sql<Date>`now() - make_interval(secs => ${sql.lit(TOKEN_SECONDS)})`)
        .execute()
      return Object.fromEntries(rows.map((row) => [row.number, row.least_generation]))
    },
  }
}
