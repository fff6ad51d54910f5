import type { Kysely } from 'kysely'
import { sql } from 'kysely'

/**
 * An index of the trigrams of repository names, for searches by a part of a name. It needs the extension pg_trgm, which
 * comes with Postgres but is a package of its own in some distributions, and which PGlite lacks. Any role that may
 * create objects in the database may create the extension. Where that fails, searches read all names, as before.
 */
export async function up(db: Kysely<any>): Promise<void> {
  await sql`
    do $$
    begin
      if not exists (select from pg_available_extensions where name = 'pg_trgm') then return; end if;
      create extension if not exists pg_trgm;
      create index all_repositories_trigrams on all_repositories using gin (name gin_trgm_ops);
    -- undefined_object: the extension is in a schema outside of the search path.
    exception when insufficient_privilege or undefined_object then
      raise warning 'searches have no index: %', sqlerrm;
    end $$`.execute(db)
}

export async function down(db: Kysely<any>): Promise<void> {
  // The extension stays: others may use it.
  await sql`drop index if exists all_repositories_trigrams`.execute(db)
}
