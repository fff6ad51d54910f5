import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/*
 * A pushed manifest is a row with a state from its announcement on. The tables get new names. Views with the old names
 * show what is recorded: readers of either version never see a manifest whose push is pending, or a repository that
 * has nothing else. The previous version keeps working on the views while it still runs; triggers translate what it
 * writes. A later release drops the view `admissions`, the triggers, and the columns `revision`, `kept` and `raw` (of
 * pending pushes).
 *
 * No statement rewrites a table, because its lock would block pushes. New columns of existing rows have constant
 * defaults or are null.
 */
export async function up(db: Kysely<any>): Promise<void> {
  await lockTables(db)
  await renameTables(db)
  await addColumns(db)
  await createViews(db)
  await createTriggers(db)
}

/**
 * Locks all tables that this migration changes. Statements lock them in different orders, so a migration that waited
 * for one table and held another could end in a deadlock, in which Postgres aborts the migration or the other
 * transaction. This function releases all locks and retries instead.
 */
async function lockTables(db: Kysely<any>): Promise<void> {
  await sql`
    do $$
    declare
      previous text := current_setting('lock_timeout');
    begin
      for tries in 1..40 loop
        begin
          set local lock_timeout = '200ms';
          lock table repositories, manifests, tags, manifest_references, admissions in access exclusive mode;
          perform set_config('lock_timeout', previous, true);
          return;
        exception when lock_not_available then
          perform pg_sleep(0.05);
        end;
      end loop;
      raise lock_not_available using message = 'other transactions hold locks on the tables of the index';
    end $$`.execute(db)
}

async function renameTables(db: Kysely<any>): Promise<void> {
  await sql`alter table repositories rename to all_repositories`.execute(db)
  await sql`alter table manifests rename to all_manifests`.execute(db)
  await sql`alter table admissions rename to pending_pushes`.execute(db)
  await sql`alter table pending_pushes rename column admitted_at to announced_at`.execute(db)
}

async function addColumns(db: Kysely<any>): Promise<void> {
  await db.schema
    .alterTable('all_repositories')
    // Whether the repository has only manifests whose push is pending.
    .addColumn('pending', 'boolean', (column) => column.notNull().defaultTo(false))
    .execute()
  await sql`create index all_repositories_pending on all_repositories (name) where pending`.execute(db)

  await sql`alter table all_manifests add column state text not null default 'recorded'`.execute(db)
  // Not valid: Postgres would read the whole table to check it. All rows have one of the states.
  await sql`
    alter table all_manifests add constraint all_manifests_state
    check (state in ('pending', 'recorded', 'index-only')) not valid`.execute(db)
  // Found by an index: an index-only manifest references a manifest by its sha512.
  await sql`
    update all_manifests set state = 'index-only'
    where kept and (repository_id, digest) in (
      select repository_id, manifest_digest from manifest_references
      where digest > 'sha512:' and digest < 'sha512;')`.execute(db)
  await sql`
    create index all_manifests_pending on all_manifests (repository_id, digest) where state = 'pending'`.execute(
    db,
  )

  // Changes with every write, like `revision`, and never repeats. Null in rows that were written before.
  await sql`create sequence revision_ids`.execute(db)
  for (const table of ['all_manifests', 'tags']) {
    await db.schema.alterTable(table).addColumn('revision_id', 'bigint').execute()
    await sql`
      alter table ${sql.table(table)} alter column revision_id set default nextval('revision_ids')`.execute(
      db,
    )
  }

  // The bytes of a pending manifest are in its own row. Only the previous version still stores them here.
  await sql`alter table pending_pushes alter column raw drop not null`.execute(db)
  await db.schema
    .alterTable('pending_pushes')
    // Whether a deletion has changed the repository in the registry since the announcement.
    .addColumn('contested', 'boolean', (column) => column.notNull().defaultTo(false))
    .execute()
}

async function createViews(db: Kysely<any>): Promise<void> {
  await sql`
    create view repositories as
    select id, name, scope, deleting_since, created_at, updated_at, reconciled_at, keep_empty, number,
      global_generation
    from all_repositories where not pending or deleting_since is not null`.execute(db)
  await sql`
    create view manifests as
    select repository_id, digest, media_type, artifact_type, subject, annotations, raw, pushed_at, revision, sha512,
      kept, size, state, revision_id
    from all_manifests where state <> 'pending'`.execute(db)
  // For the previous version: any replica can record a push, whichever version announced it.
  await sql`
    create view admissions as
    select id, repository, digest, tag, media_type, coalesce(raw, (
        select all_manifests.raw from all_manifests join all_repositories on all_repositories.id = repository_id
        where name = pending_pushes.repository and all_manifests.digest = pending_pushes.digest
      )) as raw, announced_at as admitted_at, digests, facts, context, replaced
    from pending_pushes`.execute(db)
}

async function createTriggers(db: Kysely<any>): Promise<void> {
  await sql`
    create function insert_admission() returns trigger language plpgsql as $$
    begin
      insert into pending_pushes (id, repository, digest, tag, media_type, raw, digests, facts, context, replaced)
      values (coalesce(new.id, gen_random_uuid()), new.repository, new.digest, new.tag, new.media_type, new.raw,
        new.digests, new.facts, new.context, new.replaced)
      returning id, announced_at into new.id, new.admitted_at;
      return new;
    end $$`.execute(db)
  await sql`
    create trigger insert_admission instead of insert on admissions
    for each row execute function insert_admission()`.execute(db)
  await sql`
    create function delete_admission() returns trigger language plpgsql as $$
    begin
      delete from pending_pushes where id = old.id;
      return old;
    end $$`.execute(db)
  await sql`
    create trigger delete_admission instead of delete on admissions
    for each row execute function delete_admission()`.execute(db)

  // The previous version writes 'updated_at' when it records a push into a repository.
  await sql`
    create function show_repository() returns trigger language plpgsql as $$
    begin
      new.pending := false;
      return new;
    end $$`.execute(db)
  await sql`
    create trigger show_repository before update on all_repositories for each row
    when (old.pending and new.pending and new.updated_at <> old.updated_at)
    execute function show_repository()`.execute(db)

  // The previous version knows index-only manifests by 'kept'; this version by the state.
  await sql`
    create function insert_manifest() returns trigger language plpgsql as $$
    begin
      if new.kept then new.state := 'index-only'; end if;
      new.kept := new.state = 'index-only';
      return new;
    end $$`.execute(db)
  await sql`
    create trigger insert_manifest before insert on all_manifests for each row
    when (new.kept <> (new.state = 'index-only')) execute function insert_manifest()`.execute(db)

  // The previous version writes 'revision', this version 'revision_id'. Each must see the changes of the other.
  await sql`
    create function update_revision() returns trigger language plpgsql as $$
    begin
      if new.revision = old.revision then new.revision := nextval('tag_revisions');
      else new.revision_id := nextval('revision_ids');
      end if;
      return new;
    end $$`.execute(db)
  for (const table of ['all_manifests', 'tags']) {
    await sql`
      create trigger update_revision before update on ${sql.table(table)} for each row
      when ((new.revision = old.revision) = (new.revision_id is distinct from old.revision_id))
      execute function update_revision()`.execute(db)
  }
  // A pending manifest whose 'revision' changes was recorded by the previous version.
  await sql`
    create function record_manifest() returns trigger language plpgsql as $$
    begin
      new.state := 'recorded';
      return new;
    end $$`.execute(db)
  await sql`
    create trigger record_manifest before update on all_manifests for each row
    when (old.state = 'pending' and new.state = 'pending' and new.revision <> old.revision)
    execute function record_manifest()`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  for (const view of ['admissions', 'manifests', 'repositories']) await db.schema.dropView(view).execute()
  const triggers = [
    ['show_repository', 'all_repositories'],
    ['insert_manifest', 'all_manifests'],
    ['record_manifest', 'all_manifests'],
    ['update_revision', 'all_manifests'],
    ['update_revision', 'tags'],
  ] as const
  for (const [trigger, table] of triggers) {
    await sql`drop trigger ${sql.id(trigger)} on ${sql.table(table)}`.execute(db)
  }
  const functions = [
    'insert_admission',
    'delete_admission',
    'show_repository',
    'insert_manifest',
    'record_manifest',
    'update_revision',
  ]
  for (const name of functions) await sql`drop function ${sql.id(name)}()`.execute(db)

  // What is pending is lost: the previous version stores it in another way.
  await sql`delete from pending_pushes where raw is null`.execute(db)
  await sql`delete from all_manifests where state = 'pending'`.execute(db)
  await sql`delete from all_repositories where pending`.execute(db)
  await db.schema.alterTable('pending_pushes').dropColumn('contested').execute()
  await sql`alter table pending_pushes alter column raw set not null`.execute(db)
  for (const table of ['all_manifests', 'tags']) {
    await db.schema.alterTable(table).dropColumn('revision_id').execute()
  }
  await sql`drop sequence revision_ids`.execute(db)
  await db.schema.dropIndex('all_manifests_pending').execute()
  await db.schema.alterTable('all_manifests').dropColumn('state').execute()
  await db.schema.alterTable('all_repositories').dropColumn('pending').execute()
  await sql`alter table pending_pushes rename column announced_at to admitted_at`.execute(db)
  await sql`alter table pending_pushes rename to admissions`.execute(db)
  await sql`alter table all_manifests rename to manifests`.execute(db)
  await sql`alter table all_repositories rename to repositories`.execute(db)
}
