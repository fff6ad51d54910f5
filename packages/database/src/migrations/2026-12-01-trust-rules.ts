import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Trust rules: which tokens of other issuers get which access in a namespace. */
export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('trust_rules')
    .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
    .addColumn('namespace', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('audience', 'text', (column) => column.notNull())
    .addColumn('claims', 'jsonb', (column) => column.notNull())
    .addColumn('scopes', 'jsonb', (column) => column.notNull())
    .addColumn('conditions', 'jsonb', (column) => column.notNull().defaultTo('{}'))
    // Public keys of an issuer that auth-service cannot reach; null for keys that the issuer publishes.
    .addColumn('jwks', 'jsonb')
    .addColumn('generation', 'integer', (column) => column.notNull().defaultTo(1))
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('updated_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addUniqueConstraint('trust_rules_name', ['namespace', 'name'])
    .execute()
  // Every sign-in of a workload looks for the rules of an issuer and an audience.
  await db.schema
    .createIndex('trust_rules_by_issuer')
    .on('trust_rules')
    .columns(['issuer', 'audience'])
    .execute()
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('trust_rules').execute()
}
