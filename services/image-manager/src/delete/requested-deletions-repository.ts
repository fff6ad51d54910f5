import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import { contextToStore } from '@registry-manager/events'
import type { RequestContext, RequestPrincipal } from '@registry-manager/http'
import { currentRequestContext } from '@registry-manager/http'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import type { PageRequest } from '../index/repository.ts'
import { isDue } from '../reconcile/failures-repository.ts'
import { isRepeat } from '../repeats-repository.ts'
import type { DeletionTarget, RequestedDeletion } from './requested-deletion.ts'

/** Whether the HTTP request of a deletion has recorded the same deletion while this one ran. */
const isDeletionRecorded = isRepeat({
  action: 'delete',
  context: sql`requested_deletions.context`,
  repository: sql`requested_deletions.target ->> 'repository'`,
  tag: sql`(requested_deletions.target ->> 'tag')`,
  digest: sql`requested_deletions.target ->> 'digest'`,
  since: sql`requested_deletions.requested_at`,
})

/** Whether an event explains that the target of a request is gone, or that it was pushed again. */
const explainsTarget = sql<boolean>`events.repository = requested_deletions.target ->> 'repository'
  and (events.action = 'repository.delete' or case requested_deletions.target ->> 'kind'
    when 'tag' then events.target ->> 'tag' = requested_deletions.target ->> 'tag'
    else events.target ->> 'digest' = requested_deletions.target ->> 'digest'
      and events.action in ('push', 'manifest.delete', 'blob.delete') end)`

/** The tags of a manifest at the request, without those that a push has moved to another manifest since. */
const deletedTags = sql<string[]>`array(
  select tag from unnest(requested_deletions.tags) as tag where not exists (
    select from tags join repositories on repositories.id = tags.repository_id
    where repositories.name = requested_deletions.target ->> 'repository' and tags.name = tag
      and tags.digest <> requested_deletions.target ->> 'digest'))`

/** Deletions that clients requested, until their outcome is recorded. */
export function createRequestedDeletionsRepository(db: Database) {
  return {
    /**
     * Stores a request with the context of the current request, with another principal if one is given, and with the
     * facts that the index has about the target: whether it exists, the digest of a tag, the tags of a manifest, and
     * the sha256 of a manifest that is named by its sha512. Returns the id.
     */
    async begin(target: DeletionTarget, principal?: RequestPrincipal): Promise<string> {
      const current = currentRequestContext()
      const context = current && principal !== undefined ? { ...current, principal } : current
      const { rows } = await sql<{ id: string }>`
        with known as (${knownOf(target)})
        insert into requested_deletions (target, existed, tags, context)
        select ${JSON.stringify(target)}::jsonb || coalesce((select jsonb_strip_nulls(jsonb_build_object(
            'digest', digest)) from known limit 1), '{}'),
          exists (select from known),
          coalesce((select array_agg(tag order by tag) from known where tag is not null), '{}'),
          ${contextToStore(context)}::jsonb
        returning id`.execute(db)
      const [row] = rows
      if (row === undefined) throw new Error('the request for the deletion was not stored')
      return row.id
    },

    /**
     * Ids of requests that are older than some seconds and whose retry is due, in the order of their ids. Deletions of
     * repositories are resumed from their own rows.
     */
    async listAbandoned(seconds: number, { after, limit }: PageRequest): Promise<string[]> {
      const rows = await db
        .selectFrom('requested_deletions')
        .select('id')
        .where('requested_at', '<', sql<Date>`now() - make_interval(secs => ${sql.lit(seconds)})`)
        .where(sql<boolean>`target ->> 'kind' <> 'repository'`)
        .where(isDue('deletion', 'requested_deletions.id'))
        .$if(after !== '', (query) => query.where('id', '>', after))
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(({ id }) => id)
    },

    /** The target of a request; undefined if the request has ended. */
    async findTarget(id: string): Promise<DeletionTarget | undefined> {
      const row = await db
        .selectFrom('requested_deletions')
        .select('target')
        .where('id', '=', id)
        .executeTakeFirst()
      return row?.target as DeletionTarget | undefined
    },

    /**
     * Whether another event since the request explains that its target is gone: another deletion or a push of the
     * target, or the deletion of its repository.
     */
    async isExplained(id: string): Promise<boolean> {
      const { rows } = await sql`
        select from events join requested_deletions on requested_deletions.id = ${id}
        where events.time >= requested_deletions.requested_at and ${explainsTarget}
        limit 1`.execute(db)
      return rows.length > 0
    },

    /**
     * Ends a request, together with the events of its outcome. Only one of several calls has an effect. There are no
     * events if the same HTTP request has recorded its deletion before: nginx repeated it.
     */
    async end(id: string, eventsOf: (deletion: RequestedDeletion) => readonly NewEvent[]): Promise<void> {
      await inTransaction(db, async (tx) => {
        const row = await tx
          .deleteFrom('requested_deletions')
          .where('id', '=', id)
          .returning(['target', 'existed', 'context', 'requested_at as requestedAt'])
          .returning([deletedTags.as('tags'), isDeletionRecorded.as('isRecorded')])
          .executeTakeFirst()
        if (row === undefined || row.isRecorded) return
        const target = row.target as DeletionTarget
        await recordEventsIn(tx)(eventsOf({ ...row, target }))
      })
    },
  }
}

/**
 * Stores the request for the deletion of a repository with its context, unless it is stored already: a repeat only
 * resumes the deletion.
 */
export async function beginRepositoryDeletion(
  tx: Database,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<void> {
  const target = JSON.stringify({ kind: 'repository', repository: name, id })
  await sql`
    insert into requested_deletions (target, existed, tags, context)
    select ${target}::jsonb, true, '{}', ${contextToStore()}::jsonb
    where not exists (select from requested_deletions where ${isOfRepository(id)})`.execute(tx)
}

/** Adds to the number of manifests that the deletion of a repository has removed. */
export async function countRemoved(tx: Database, id: string, manifests: number): Promise<void> {
  await sql`
    update requested_deletions set target = target || jsonb_build_object('removed', ${REMOVED} + ${manifests}::bigint)
    where ${isOfRepository(id)}`.execute(tx)
}

/**
 * Ends the request for the deletion of a repository. Returns its context, null if a previous version began it, and the
 * number of manifests that were removed.
 */
export async function endRepositoryDeletion(
  tx: Database,
  id: string,
): Promise<{ readonly context: RequestContext | null; readonly manifests: number }> {
  const row = await tx
    .deleteFrom('requested_deletions')
    .where(isOfRepository(id))
    .returning(['context', sql<number>`${REMOVED}::float8`.as('manifests')])
    .executeTakeFirst()
  return row ?? { context: null, manifests: 0 }
}

/** The number of manifests that the deletion of a repository has removed. */
const REMOVED = sql`coalesce((target ->> 'removed')::bigint, 0)`

/** By the id: a later repository of the same name has another one. */
function isOfRepository(id: string) {
  return sql<boolean>`target ->> 'kind' = 'repository' and target ->> 'id' = ${id}`
}

/** The target in the index: one row without a tag, or one for each tag of a manifest; no row if it is not there. */
function knownOf(target: DeletionTarget) {
  const { repository } = target
  switch (target.kind) {
    case 'tag':
      return sql`
        select tags.digest, null::text as tag from tags join repositories on repositories.id = tags.repository_id
        where repositories.name = ${repository} and tags.name = ${target.tag}`
    case 'manifest':
      return sql`
        select manifests.digest, tags.name as tag
        from manifests join repositories on repositories.id = manifests.repository_id
        left join tags on tags.repository_id = manifests.repository_id and tags.digest = manifests.digest
        where repositories.name = ${repository}
          and (manifests.digest = ${target.digest} or manifests.sha512 = ${target.digest})`
    case 'blob':
      return sql`
        select digest, null::text as tag from repository_blobs
        where repository = ${repository} and digest = ${target.digest}
        union
        select reference.digest, null from manifest_references as reference
        join repositories on repositories.id = reference.repository_id
        where repositories.name = ${repository} and reference.digest = ${target.digest}`
  }
}
