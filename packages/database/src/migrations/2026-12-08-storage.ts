import type { Kysely, RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { lockTables } from '../lock-tables.ts'

const digest = sql`text collate "C"`

/** The tables that name digests of data in the registry's storage, and the digests that a deleted row named. */
const RELEASED: Readonly<Record<string, RawBuilder<unknown>>> = {
  repository_blobs: sql`select digest from gone`,
  manifest_references: sql`select digest from gone`,
  all_manifests: sql`select digest from gone`,
  blob_aliases: sql`select sha256 as digest from gone`,
}

/**
 * Collection of data that nothing references. Triggers record the digests of deleted rows (`released_digests`), and
 * keep the data of digests that new rows name. So both hold whichever version and whichever statement changes the
 * index, cascades included.
 */
export async function up(db: Kysely<any>): Promise<void> {
  const tables = ['all_repositories', 'all_manifests', 'manifest_references', 'tags']
  await lockTables(
    db,
    [...tables, 'repository_blobs', 'blob_aliases', 'pending_pushes'],
    'share row exclusive',
  )
  await createTables(db)
  await db.schema.createIndex('repository_blobs_by_digest').on('repository_blobs').column('digest').execute()
  for (const name of ['sha256', 'sha512']) {
    await db.schema.createIndex(`blob_aliases_of_${name}`).on('blob_aliases').column(name).execute()
  }
  for (const [table, released] of Object.entries(RELEASED)) {
    await createTrigger(
      db,
      `release_${table}`,
      sql`after delete on ${sql.table(table)} referencing old table as gone for each statement`,
      sql`
      begin
        -- The storage has data under sha256 names only. One insert locks nothing that another transaction waits for.
        insert into released_digests (digest)
        select distinct digest from (${released}) released where digest < 'sha512:';
        return null;
      end`,
    )
  }
  await createKeepDigests(db)
  await createKeepTriggers(db)
}

async function createTables(db: Kysely<any>): Promise<void> {
  // Digests of rows that were deleted, until the next review. Without a unique index: deletions never wait for it.
  await db.schema
    .createTable('released_digests')
    .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('digest', digest, (column) => column.notNull())
    .addColumn('released_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute()

  await db.schema
    .createTable('unreferenced_blobs')
    .addColumn('digest', digest, (column) => column.primaryKey())
    // When a row that named the digest was last deleted.
    .addColumn('since', 'timestamptz', (column) => column.notNull())
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('waiting', 'condemned', 'removing')`),
    )
    // Known from a listing of the storage.
    .addColumn('bytes', 'bigint')
    // The transaction that condemned it. A claim waits until all transactions that are older have ended.
    .addColumn('condemned_by', sql`xid8`)
    .addColumn('claim', 'uuid')
    // Until when a worker may remove the data.
    .addColumn('removing_until', 'timestamptz')
    // After a failed removal: when it is tried again, how often it failed, and why.
    .addColumn('retry_at', 'timestamptz')
    .addColumn('failures', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('reason', 'text')
    .execute()
  await db.schema
    .createIndex('unreferenced_blobs_by_state')
    .on('unreferenced_blobs')
    .columns(['state', 'since', 'digest'])
    .execute()
  await sql`create index unreferenced_blobs_by_claim on unreferenced_blobs (claim) where claim is not null`.execute(
    db,
  )

  await db.schema
    .createTable('collection')
    .addColumn('only', 'boolean', (column) =>
      column
        .primaryKey()
        .defaultTo(true)
        .check(sql`"only"`),
    )
    // The database that the state belongs to. Another one (a restored backup) may lack rows of what is in the storage.
    .addColumn('database', 'text')
    .addColumn('began_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    // When a complete reconcile run ended that had begun after `began_at`. Nothing is condemned before.
    .addColumn('reconciled_at', 'timestamptz')
    .addColumn('paused', 'boolean', (column) => column.notNull().defaultTo(false))
    .addColumn('blobs_per_second', 'double precision')
    // The rate limit permits the next claim from then on.
    .addColumn('next_claim_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('reviewed_at', 'timestamptz')
    .addColumn('removed_at', 'timestamptz')
    .addColumn('removed_blobs', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('removed_bytes', 'numeric', (column) => column.notNull().defaultTo(0))
    .addColumn('failed_removals', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute()
  await sql`insert into collection default values`.execute(db)
}

/**
 * `keep_digests` runs in the transaction that makes something reference digests. It deletes their rows of
 * `unreferenced_blobs`. `RM002`: a worker is removing the data of one of them at this moment. The lock on a row makes
 * this transaction and the claim of a worker exclude each other.
 */
async function createKeepDigests(db: Kysely<any>): Promise<void> {
  await sql`
    create function keep_digests(named text[]) returns void language plpgsql as $$
    declare
      removing text;
    begin
      perform from unreferenced_blobs
      where digest = any(named) and (state <> 'removing' or removing_until < clock_timestamp())
      order by digest for update;
      if found then
        delete from unreferenced_blobs
        where digest = any(named) and (state <> 'removing' or removing_until < clock_timestamp());
      end if;
      select digest into removing from unreferenced_blobs
      where digest = any(named) and state = 'removing' and removing_until >= clock_timestamp() limit 1;
      if found then
        raise exception using errcode = 'RM002', message = 'the data of ' || removing || ' is being removed; retry';
      end if;
    end $$`.execute(db)
}

async function createKeepTriggers(db: Kysely<any>): Promise<void> {
  // An upload or a mount. The registry stores the content of a sha512 digest by its sha256. Where no alias tells that
  // sha256, nothing may be removed until the alias is known: claims lock the row of `collection`.
  await createTrigger(
    db,
    'keep_repository_blobs',
    sql`after insert or update of announced_at on repository_blobs for each row`,
    sql`
    declare
      name text := new.digest;
    begin
      if name like 'sha512:%' then
        select sha256 into name from blob_aliases where sha512 = new.digest limit 1;
        if not found then
          perform from collection for share;
          if exists (select from unreferenced_blobs
              where state = 'removing' and removing_until >= clock_timestamp()) then
            raise exception using
              errcode = 'RM002', message = 'data is being removed that may be that of ' || new.digest || '; retry';
          end if;
          return null;
        end if;
      end if;
      perform keep_digests(array[name]);
      return null;
    end`,
  )
  await createTrigger(
    db,
    'keep_pending_pushes',
    sql`after insert on pending_pushes for each row`,
    sql`begin perform keep_digests(coalesce(new.digests, '{}') || new.digest); return null; end`,
  )
  const added = {
    all_manifests: sql`digest`,
    manifest_references: sql`digest`,
    blob_aliases: sql`sha256`,
  }
  for (const [table, column] of Object.entries(added)) {
    await createTrigger(
      db,
      `keep_${table}`,
      sql`after insert on ${sql.table(table)} referencing new table as added for each statement`,
      sql`
      begin
        if exists (select from added) then
          perform keep_digests((select array_agg(distinct ${column}) from added));
        end if;
        return null;
      end`,
    )
  }
}

/** Creates a trigger with its function. `when`: its event and the table. */
async function createTrigger(
  db: Kysely<any>,
  name: string,
  when: RawBuilder<unknown>,
  body: RawBuilder<unknown>,
): Promise<void> {
  await sql`create function ${sql.id(name)}() returns trigger language plpgsql as $$ ${body} $$`.execute(db)
  await sql`create trigger ${sql.id(name)} ${when} execute function ${sql.id(name)}()`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  const keeps = [
    'repository_blobs',
    'pending_pushes',
    'all_manifests',
    'manifest_references',
    'blob_aliases',
  ].map((table) => [`keep_${table}`, table] as const)
  const releases = Object.keys(RELEASED).map((table) => [`release_${table}`, table] as const)
  for (const [trigger, table] of [...keeps, ...releases]) {
    await sql`drop trigger ${sql.id(trigger)} on ${sql.table(table)}`.execute(db)
    await sql`drop function ${sql.id(trigger)}()`.execute(db)
  }
  await sql`drop function keep_digests(text[])`.execute(db)
  for (const index of ['repository_blobs_by_digest', 'blob_aliases_of_sha256', 'blob_aliases_of_sha512']) {
    await db.schema.dropIndex(index).execute()
  }
  for (const table of ['collection', 'unreferenced_blobs', 'released_digests'])
    await db.schema.dropTable(table).execute()
}
