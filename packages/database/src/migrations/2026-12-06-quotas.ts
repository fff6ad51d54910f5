import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/** Byte order, as in all tables of the index. */
const name = sql`text collate "C"`

/** What each namespace uses, and its quota (decision 40). The next migration creates the triggers that count. */
export async function up(db: Kysely<any>): Promise<void> {
  await db.schema
    .createTable('namespace_usage')
    // The first component of the names of repositories.
    .addColumn('namespace', name, (column) => column.primaryKey())
    // Sums of sizes that clients state: they may exceed 64 bits.
    .addColumn('bytes', 'numeric', (column) => column.notNull().defaultTo(0))
    .addColumn('repositories', 'bigint', (column) => column.notNull().defaultTo(0))
    // Digests below this one are counted; null if all are. Triggers leave the others to the first count.
    .addColumn('counted_below', name)
    // How far a recount is; null if there is none.
    .addColumn('recounted_below', name)
    .addColumn('quota_bytes', 'bigint')
    .addColumn('quota_repositories', 'bigint')
    .addColumn('soft_bytes', 'bigint')
    // When a push crossed the soft limit; null while less is used.
    .addColumn('soft_crossed_at', 'timestamptz')
    .execute()
  await sql`
    create index namespace_usage_uncounted on namespace_usage (namespace)
    where counted_below is not null or recounted_below is not null`.execute(db)

  // Digests that manifests of a namespace have or reference, by the sizes that manifests state.
  await db.schema
    .createTable('namespace_blobs')
    .addColumn('namespace', name, (column) => column.notNull())
    .addColumn('digest', name, (column) => column.notNull())
    .addColumn('size', 'bigint', (column) => column.notNull())
    // How many manifests state this size of this digest.
    .addColumn('uses', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('namespace_blobs_key', ['namespace', 'digest', 'size'])
    .execute()

  await createChangeOfUsage(db)
}

/**
 * `change_namespace_usage` adds uses of digests to a namespace, or takes them away. The row of the namespace is locked
 * first, so two transactions never wait for each other's digests. A digest counts once, with the greatest size that a
 * manifest states. `RM001`: the quota does not permit the change.
 */
async function createChangeOfUsage(db: Kysely<any>): Promise<void> {
  await sql`
    create function change_namespace_usage(
      changed text, digests text[], sizes bigint[], changes integer[], is_enforced boolean
    ) returns void language plpgsql as $$
    declare
      below text;
      bytes_before numeric;
      bytes_after numeric;
    begin
      select counted_below into below from namespace_usage where namespace = changed for no key update;
      if not found then return; end if;
      select coalesce(sum(greatest_size), 0) into bytes_before from (
        select max(size) as greatest_size from namespace_blobs
        where namespace = changed and digest in (select unnest(digests)) group by digest) known;
      insert into namespace_blobs as known (namespace, digest, size, uses)
      select changed, digest, size, change from unnest(digests, sizes, changes) as given (digest, size, change)
      where change > 0 and (below is null or digest collate "C" < below)
      on conflict (namespace, digest, size) do update set uses = known.uses + excluded.uses;
      if exists (select from unnest(changes) as change where change < 0) then
        delete from namespace_blobs known using unnest(digests, sizes, changes) as given (digest, size, change)
        where namespace = changed and known.digest = given.digest and known.size = given.size
          and given.change < 0 and known.uses + given.change <= 0;
        update namespace_blobs known set uses = known.uses + given.change
        from unnest(digests, sizes, changes) as given (digest, size, change)
        where namespace = changed and known.digest = given.digest and known.size = given.size and given.change < 0;
      end if;
      select coalesce(sum(greatest_size), 0) into bytes_after from (
        select max(size) as greatest_size from namespace_blobs
        where namespace = changed and digest in (select unnest(digests)) group by digest) known;
      if bytes_after = bytes_before then return; end if;
      update namespace_usage set
        bytes = bytes + bytes_after - bytes_before,
        soft_crossed_at = case when bytes + bytes_after - bytes_before > soft_bytes then soft_crossed_at end
      where namespace = changed and (
        not is_enforced or bytes_after < bytes_before or quota_bytes is null
        or bytes + bytes_after - bytes_before <= quota_bytes);
      if is_enforced and not found then
        raise exception using errcode = 'RM001', message = 'the quota of bytes of ' || changed || ' is exceeded';
      end if;
    end $$`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  await sql`drop function change_namespace_usage(text, text[], bigint[], integer[], boolean)`.execute(db)
  for (const table of ['namespace_blobs', 'namespace_usage']) await db.schema.dropTable(table).execute()
}
