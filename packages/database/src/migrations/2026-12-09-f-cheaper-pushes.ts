import type { Kysely, RawBuilder } from 'kysely'
import { sql } from 'kysely'

/**
 * Pushes into a namespace with a quota and immutable tags wait for each other for less time. `reserve_tag` lets the
 * announcement of an immutable tag be one statement: its locks end with it, not with a later `commit`. Triggers call
 * `change_namespace_usage` as before. It has fewer statements where uses are added only.
 */
export async function up(db: Kysely<any>): Promise<void> {
  // Processes of the previous version take the same lock. Each statement of the function has a snapshot of its own: the
  // second one sees what was committed before the lock was free.
  await sql`
    create function reserve_tag(of_repository text, of_tag text, for_digest text) returns text language plpgsql as $$
    declare
      named text;
    begin
      perform pg_advisory_xact_lock(
        hashtextextended('immutable tag ' || of_repository || ':' || of_tag, 0));
      -- A push that was accepted before the tag became immutable may still be pending. The tag has precedence over it.
      select digest into named from (
        select tags.digest, 1 as rank from tags join all_repositories on all_repositories.id = repository_id
        where all_repositories.name = of_repository and tags.name = of_tag
        union all
        select digest, 2 from pending_pushes where repository = of_repository and tag = of_tag
      ) candidates order by rank, digest = for_digest limit 1;
      return nullif(named, for_digest);
    end $$`.execute(db)
  await replaceChangeOfUsage(
    db,
    sql`
      if not 0 > any (changes) then
        with given as (
          select digest, size, change from unnest(digests, sizes, changes) as given (digest, size, change)
          where below is null or digest collate "C" < below
        ), added as (
          insert into namespace_blobs as known (namespace, digest, size, uses)
          select changed, digest, size, change from given
          on conflict (namespace, digest, size) do update set uses = known.uses + excluded.uses
        )
        -- The sizes are those before the insert.
        select coalesce(sum(greatest(0, greatest_size - coalesce((
          select max(size) from namespace_blobs known where namespace = changed and known.digest = largest.digest), 0))), 0)
        into bytes_after from (select digest, max(size) as greatest_size from given group by digest) largest;
      else
        ${SUM} into bytes_before ${SUMMED};
        ${ADD}
        ${TAKE_AWAY}
        ${SUM} into bytes_after ${SUMMED};
      end if;`,
  )
}

const SUM = sql`select coalesce(sum(greatest_size), 0)`
const SUMMED = sql`from (
          select max(size) as greatest_size from namespace_blobs
          where namespace = changed and digest in (select unnest(digests)) group by digest) known`
const ADD = sql`insert into namespace_blobs as known (namespace, digest, size, uses)
        select changed, digest, size, change from unnest(digests, sizes, changes) as given (digest, size, change)
        where change > 0 and (below is null or digest collate "C" < below)
        on conflict (namespace, digest, size) do update set uses = known.uses + excluded.uses;`
const TAKE_AWAY = sql`delete from namespace_blobs known
        using unnest(digests, sizes, changes) as given (digest, size, change)
        where namespace = changed and known.digest = given.digest and known.size = given.size
          and given.change < 0 and known.uses + given.change <= 0;
        update namespace_blobs known set uses = known.uses + given.change
        from unnest(digests, sizes, changes) as given (digest, size, change)
        where namespace = changed and known.digest = given.digest and known.size = given.size and given.change < 0;`

/** Replaces the function of migration 2026-12-06-quotas. `count`: sets the bytes before and after the change. */
async function replaceChangeOfUsage(db: Kysely<any>, count: RawBuilder<unknown>): Promise<void> {
  await sql`
    create or replace function change_namespace_usage(
      changed text, digests text[], sizes bigint[], changes integer[], is_enforced boolean
    ) returns void language plpgsql as $$
    declare
      below text;
      bytes_before numeric := 0;
      bytes_after numeric;
    begin
      select counted_below into below from namespace_usage where namespace = changed for no key update;
      if not found then return; end if;
      ${count}
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
  await sql`drop function reserve_tag(text, text, text)`.execute(db)
  await replaceChangeOfUsage(
    db,
    sql`
      ${SUM} into bytes_before ${SUMMED};
      ${ADD}
      if exists (select from unnest(changes) as change where change < 0) then
        ${TAKE_AWAY}
      end if;
      ${SUM} into bytes_after ${SUMMED};`,
  )
}
