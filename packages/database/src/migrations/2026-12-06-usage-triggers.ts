import type { Kysely, RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { lockTables } from '../lock-tables.ts'

/**
 * Triggers count what each namespace uses. So the counts are right whichever version and whichever statement writes the
 * index, cascades included. What exists before this migration is counted by image-manager in the background: the
 * migration reads the names of repositories only.
 */
export async function up(db: Kysely<any>): Promise<void> {
  // `tags`, too: the migration of the tag history, which may run in the same transaction, changes it.
  const tables = ['all_repositories', 'all_manifests', 'manifest_references', 'tags']
  await lockTables(db, tables, 'share row exclusive')
  await sql`
    insert into namespace_usage (namespace, repositories, counted_below)
    select split_part(name, '/', 1), count(*), '' from all_repositories where name like '%/%'
    group by 1`.execute(db)
  await countRepositories(db)
  // The manifests themselves. A pending or index-only manifest is one that a client pushes.
  await countDigests(db, {
    table: 'all_manifests',
    rows: sql`true`,
    enforced: sql`changed.state in ('pending', 'index-only')`,
    resized: sql`old.size is distinct from new.size`,
  })
  // The configs and layers that they reference. Sizes that are filled in later are not those of a push.
  await countDigests(db, {
    table: 'manifest_references',
    rows: sql`changed.kind <> 'manifest'`,
    enforced: sql`exists (
      select from all_manifests manifest
      where manifest.repository_id = changed.repository_id and manifest.digest = changed.manifest_digest
        and state in ('pending', 'index-only') and manifest.size is not null)`,
    resized: sql`old.size is distinct from new.size and new.kind <> 'manifest'`,
  })
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

async function countRepositories(db: Kysely<any>): Promise<void> {
  // Only an announced push creates a pending repository.
  const inserted = sql`after insert on all_repositories referencing new table as added for each statement`
  await createTrigger(
    db,
    'charge_repositories',
    inserted,
    sql`
    declare
      change record;
    begin
      for change in
        select split_part(name, '/', 1) as namespace, count(*) as repositories, bool_or(pending) as is_enforced
        from added where name like '%/%' group by 1 order by 1
      loop
        insert into namespace_usage (namespace) values (change.namespace) on conflict do nothing;
        update namespace_usage set repositories = repositories + change.repositories
        where namespace = change.namespace and (
          not change.is_enforced or quota_repositories is null
          or repositories + change.repositories <= quota_repositories);
        if not found then
          raise exception using
            errcode = 'RM001', message = 'the quota of repositories of ' || change.namespace || ' is exceeded';
        end if;
      end loop;
      return null;
    end`,
  )
  // Cascades would run when the row, and with it the namespace, is gone. Two statements are also faster than one
  // cascade for each manifest.
  await createTrigger(
    db,
    'empty_repository',
    sql`before delete on all_repositories for each row`,
    sql`
    begin
      delete from manifest_references where repository_id = old.id;
      delete from all_manifests where repository_id = old.id;
      return old;
    end`,
  )
  await createTrigger(
    db,
    'discharge_repositories',
    sql`after delete on all_repositories referencing old table as removed for each statement`,
    sql`
    begin
      update namespace_usage set repositories = namespace_usage.repositories - gone.repositories
      from (select split_part(name, '/', 1) as namespace, count(*) as repositories
        from removed where name like '%/%' group by 1) gone
      where namespace_usage.namespace = gone.namespace;
      return null;
    end`,
  )
}

interface CountedTable {
  readonly table: 'all_manifests' | 'manifest_references'
  /** Which rows are counted. */
  readonly rows: RawBuilder<unknown>
  /** Whether the quota applies to an inserted row. */
  readonly enforced: RawBuilder<unknown>
  /** Whether an update changes the size of a counted row. */
  readonly resized: RawBuilder<unknown>
}

/** Creates the triggers that count the digests of a table. */
async function countDigests(
  db: Kysely<any>,
  { table, rows, enforced, resized }: CountedTable,
): Promise<void> {
  const kinds = [
    ['charge', sql`insert`, sql`new`, sql`1`, enforced],
    ['discharge', sql`delete`, sql`old`, sql`-1`, sql`false`],
  ] as const
  for (const [verb, event, rowsOf, change, isEnforced] of kinds) {
    await createTrigger(
      db,
      `${verb}_${table}`,
      sql`after ${event} on ${sql.table(table)} referencing ${rowsOf} table as changed for each statement`,
      sql`
      declare
        change record;
      begin
        -- Cascades run for each manifest of a repository, and find nothing.
        if not exists (select from changed) then return null; end if;
        for change in
          select namespace, array_agg(digest) as digests, array_agg(size) as sizes, array_agg(uses) as uses,
            bool_or(is_enforced) as is_enforced
          from (
            select split_part(name, '/', 1) as namespace, digest, coalesce(size, 0) as size,
              (${change} * count(*))::integer as uses, bool_or(${isEnforced}) as is_enforced
            from changed join all_repositories on all_repositories.id = repository_id
            where name like '%/%' and ${rows} group by 1, 2, 3
          ) changes group by namespace order by namespace
        loop
          perform change_namespace_usage(
            change.namespace, change.digests, change.sizes, change.uses, change.is_enforced);
        end loop;
        return null;
      end`,
    )
  }
  // Sizes of manifests that were stored without sizes are filled in later.
  await createTrigger(
    db,
    `resize_${table}`,
    sql`after update on ${sql.table(table)} for each row when (${resized})`,
    sql`
    declare
      repository text := (select name from all_repositories where id = new.repository_id);
    begin
      if repository like '%/%' then
        perform change_namespace_usage(split_part(repository, '/', 1), array[new.digest, new.digest]::text[],
          array[coalesce(old.size, 0), coalesce(new.size, 0)], array[-1, 1], false);
      end if;
      return null;
    end`,
  )
}

export async function down(db: Kysely<any>): Promise<void> {
  const tables = {
    all_repositories: ['charge_repositories', 'empty_repository', 'discharge_repositories'],
    all_manifests: ['charge_all_manifests', 'discharge_all_manifests', 'resize_all_manifests'],
    manifest_references: [
      'charge_manifest_references',
      'discharge_manifest_references',
      'resize_manifest_references',
    ],
  }
  for (const [table, triggers] of Object.entries(tables)) {
    for (const trigger of triggers) {
      await sql`drop trigger ${sql.id(trigger)} on ${sql.table(table)}`.execute(db)
      await sql`drop function ${sql.id(trigger)}()`.execute(db)
    }
  }
  await sql`delete from namespace_blobs`.execute(db)
  await sql`delete from namespace_usage`.execute(db)
}
