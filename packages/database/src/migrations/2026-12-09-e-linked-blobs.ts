import type { Kysely } from 'kysely'

/** When a listing of the storage last found a link to an unreferenced blob: content that the index does not know. */
export async function up(db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('unreferenced_blobs').addColumn('linked_at', 'timestamptz').execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('unreferenced_blobs').dropColumn('linked_at').execute()
}
