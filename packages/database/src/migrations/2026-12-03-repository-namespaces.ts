import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** For lists of the namespaces that have repositories: the first components of names, each found by one lookup. */
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    create index all_repositories_by_namespace on all_repositories (split_part(name, '/', 1))
    where position('/' in name) > 0`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  await sql`drop index all_repositories_by_namespace`.execute(db)
}
