import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import { lockTables } from '../lock-tables.ts'

/**
 * Each tag has a row in `tag_history` for each time that it named a manifest. A trigger writes the rows, so the history
 * is complete whichever version and whichever statement changes a tag, cascades included. The previous version does not
 * say who it was: `started_by` and `ended_by` are null then.
 *
 * The tags of before have no row, and the migration writes none, because that would block pushes. The first change of
 * such a tag adds the row that it lacks; until then the tag itself says what it names.
 */
export async function up(db: Kysely<any>): Promise<void> {
  // All tables of the index that get triggers: the next migrations may run in the same transaction.
  const tables = ['all_repositories', 'all_manifests', 'manifest_references', 'tags']
  await lockTables(db, tables, 'share row exclusive')
  await db.schema
    .createTable('tag_history')
    .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    // Without a foreign key: it would lock the repository after the tag. Deletions lock in the other order.
    .addColumn('repository_id', 'uuid', (column) => column.notNull())
    .addColumn('tag', sql`text collate "C"`, (column) => column.notNull())
    .addColumn('digest', sql`text collate "C"`, (column) => column.notNull())
    // The digest that the tag named before; null if there was no such tag.
    .addColumn('previous', sql`text collate "C"`)
    .addColumn('started_at', 'timestamptz', (column) => column.notNull())
    .addColumn('started_by', 'jsonb')
    // Null while the tag names the manifest.
    .addColumn('ended_at', 'timestamptz')
    .addColumn('ended_by', 'jsonb')
    .execute()
  await sql`
    create unique index tag_history_open on tag_history (repository_id, tag) where ended_at is null`.execute(
    db,
  )
  await db.schema
    .createIndex('tag_history_by_tag')
    .on('tag_history')
    .columns(['repository_id', 'tag', 'id'])
    .execute()
  await sql`create index tag_history_by_end on tag_history (ended_at) where ended_at is not null`.execute(db)

  // The clock, not the time of the transaction: a transaction may wait for a later one that changes the same tag.
  await sql`
    create function record_tag_history() returns trigger language plpgsql as $$
    declare
      actor jsonb := nullif(current_setting('registry_manager.actor', true), '');
      moment timestamptz := clock_timestamp();
    begin
      if tg_op <> 'INSERT' then
        update tag_history set ended_at = moment, ended_by = actor
        where repository_id = old.repository_id and tag = old.name and ended_at is null;
        if not found then
          insert into tag_history (repository_id, tag, digest, started_at, ended_at, ended_by)
          values (old.repository_id, old.name, old.digest, old.updated_at, moment, actor);
        end if;
      end if;
      if tg_op <> 'DELETE' then
        insert into tag_history (repository_id, tag, digest, previous, started_at, started_by)
        values (new.repository_id, new.name, new.digest, case tg_op when 'UPDATE' then old.digest end, moment, actor);
      end if;
      return null;
    end $$`.execute(db)
  await sql`
    create trigger record_tag_history after insert or delete on tags
    for each row execute function record_tag_history()`.execute(db)
  await sql`
    create trigger record_tag_move after update on tags
    for each row when (old.digest <> new.digest) execute function record_tag_history()`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const trigger of ['record_tag_history', 'record_tag_move']) {
    await sql`drop trigger ${sql.id(trigger)} on tags`.execute(db)
  }
  await sql`drop function record_tag_history()`.execute(db)
  await db.schema.dropTable('tag_history').execute()
}
