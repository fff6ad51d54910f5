import type { Kysely } from 'kysely'

/** What must hold so that a token permits anything; null for nothing. Columns without a default take no time. */
export async function up(db: Kysely<any>): Promise<void> {
  for (const table of ['personal_tokens', 'registry_tokens']) {
    await db.schema.alterTable(table).addColumn('conditions', 'jsonb').execute()
  }
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ['personal_tokens', 'registry_tokens']) {
    await db.schema.alterTable(table).dropColumn('conditions').execute()
  }
}
