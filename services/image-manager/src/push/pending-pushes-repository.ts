import type { Database } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import { orRollBack, putRepository, recordRow } from '../index/manifest-rows-repository.ts'
import { putTag, revisionOf } from '../index/tags-repository.ts'
import { REPEAT_WINDOW, isRepeat } from '../repeats-repository.ts'
import type { NewPendingPush } from './announcements-repository.ts'
import { insertImmutable, insertPendingPush } from './announcements-repository.ts'
import type { PendingFacts, PendingPush, StagedPush } from './record-pending-push.ts'
import { crossesSoftLimit, recordSoftLimit } from './soft-limit-repository.ts'

const NO_FACTS = { artifactType: undefined, subject: undefined, size: 0 }

/**
 * Whether the request of a pending push has recorded the same push already. An event from before the announcement
 * counts only if the push moves no tag.
 */
const isPushRecorded = isRepeat({
  action: 'push',
  context: sql`pending_pushes.context`,
  repository: sql`pending_pushes.repository`,
  tag: sql`pending_pushes.tag`,
  digest: sql`pending_pushes.digest`,
  since: sql`case when pending_pushes.tag is null or pending_pushes.replaced = pending_pushes.digest
    then pending_pushes.announced_at - ${REPEAT_WINDOW} else pending_pushes.announced_at end`,
})

interface PendingPushRow extends Omit<PendingPush, 'facts' | 'staged'> {
  readonly mediaType: string
  /** Null if the version before the previous one wrote the row. */
  readonly facts: PendingFacts | null
  readonly staged: { readonly repositoryId: string; readonly tagRevision: string | null } | null
}

/**
 * Pushes that were announced and whose outcome is not recorded yet. The manifest of such a push is a row of
 * `all_manifests` already. The row is pending, unless an earlier push of the same manifest was recorded.
 */
export function createPendingPushesRepository(db: Database) {
  const namedBy = (repository: string, digest: string) =>
    db
      .selectFrom('pending_pushes')
      .select('id')
      .where('repository', '=', repository)
      .where('digest', '=', digest)

  /**
   * Ends a pending push, together with the events of its outcome. Only one of several calls has an effect. Also removes
   * the manifest if it is pending and has no other pending push, and then the repository if it is pending and empty.
   * Another push that is announced at this moment may lose the bytes of its manifest: recording then reads them from
   * the registry. There are no events if the same request has recorded its push before.
   */
  const endPendingPush = async (id: string, events: readonly NewEvent[]): Promise<void> => {
    await inTransaction(db, async (tx) => {
      // Every transaction locks the repository first, then its manifests and tags, and pending pushes last.
      const repository = await tx
        .selectFrom('all_repositories')
        .select('id')
        .where('name', '=', tx.selectFrom('pending_pushes').select('repository').where('id', '=', id))
        .forUpdate()
        .executeTakeFirst()
      const push = await tx
        .deleteFrom('pending_pushes')
        .where('id', '=', id)
        .returning(['repository', 'digest', isPushRecorded.as('isRecorded')])
        .executeTakeFirst()
      if (push === undefined) return
      if (!push.isRecorded) await recordEventsIn(tx)(events)
      if (events.length > 0) await recordSoftLimit(tx, push.repository, events[0])
      if (repository === undefined) return
      await sql`
        delete from all_manifests where repository_id = ${repository.id} and digest = ${push.digest}
          and state = 'pending' and not exists (
            select from pending_pushes where repository = ${push.repository} and digest = ${push.digest}
          )`.execute(tx)
      await sql`
        delete from all_repositories where id = ${repository.id} and pending and deleting_since is null
          and not exists (select from all_manifests where repository_id = ${repository.id})`.execute(tx)
    })
  }

  return {
    endPendingPush,

    /** Ends a pending push that has no outcome. */
    removePendingPush: (id: string): Promise<void> => endPendingPush(id, []),

    /**
     * Stores a pending push, and its manifest unless the index has it. Returns its id; undefined, and stores nothing,
     * while the repository is being deleted.
     */
    insertPendingPush: (push: NewPendingPush) => insertPendingPush(db, push),

    insertImmutablePush: (push: NewPendingPush & { readonly tag: string }) => insertImmutable(db, push),

    /**
     * A pending push, and the state that recording it in one transaction needs, if that is possible. Read this before
     * the registry, so that a change in between shows in the transaction.
     */
    async findPendingPush(id: string): Promise<PendingPush | undefined> {
      const { rows } = await sql<PendingPushRow>`
        select push.id, push.repository, push.digest, push.tag, push.announced_at as "announcedAt",
          push.context, push.replaced, push.facts - 'annotations' as facts, push.media_type as "mediaType",
          case when all_manifests.digest is not null and not contested and created_at <= announced_at then
            json_build_object('repositoryId', all_repositories.id, 'tagRevision', ${revisionOf('tags')})
          end as staged
        from pending_pushes push
        left join all_repositories on all_repositories.name = push.repository
        left join all_manifests
          on all_manifests.repository_id = all_repositories.id and all_manifests.digest = push.digest
        left join tags on tags.repository_id = all_repositories.id and tags.name = push.tag
        where push.id = ${id}`.execute(db)
      const [row] = rows
      if (row === undefined) return undefined
      const { mediaType, facts, staged, ...push } = row
      return {
        ...push,
        facts: facts ?? { digest: push.digest, mediaType, references: [], ...NO_FACTS },
        staged: staged === null ? undefined : { ...staged, tagRevision: staged.tagRevision ?? undefined },
      }
    },

    /** Whether a push of this digest is pending. */
    async isPending(repository: string, digest: string): Promise<boolean> {
      return (await namedBy(repository, digest).limit(1).executeTakeFirst()) !== undefined
    },

    /**
     * Contests the pending pushes of a repository: each asks the registry again before it is recorded. Also makes
     * reconcile verify the content that it has read from the registry before this call and has not recorded yet.
     */
    async contestPushes(repository: string): Promise<void> {
      // Locked in the order of their ids, so that two calls do not wait for each other.
      await sql`
        with contested as (
          update pending_pushes set contested = true where id in (
            select id from pending_pushes where repository = ${repository} and not contested
            order by id for update)
        )
        select nextval('registry_deletions')`.execute(db)
    },

    /**
     * The transaction that records a push, with everything that must become visible together: the manifest, its
     * repository, its tag by compare-and-set, the end of the pending push, and its events. Returns false and changes
     * nothing if the push was recorded or contested, or if its manifest, tag or repository has changed since it was
     * read.
     */
    async recordPush(
      { id, repository, digest, tag, context }: PendingPush,
      { repositoryId, tagRevision: revision }: StagedPush,
      events: readonly NewEvent[],
    ): Promise<boolean> {
      return orRollBack(db, async (tx) => {
        if (!(await recordRow(tx, sql`id = ${repositoryId}`, digest))) return false
        const principal = context?.principal
        const isSet = tag === null || (await putTag(tx, { repositoryId, tag, digest, revision }, principal))
        if (!isSet) return false
        const ended = await tx
          .deleteFrom('pending_pushes')
          .where('id', '=', id)
          .where('contested', '=', false)
          .returning(isPushRecorded.as('isRecorded'))
          .returning(crossesSoftLimit(sql`pending_pushes.repository`).as('crossesSoftLimit'))
          .executeTakeFirst()
        if (ended?.isRecorded === false) await recordEventsIn(tx)(events)
        if (ended?.crossesSoftLimit === true) await recordSoftLimit(tx, repository, events[0])
        return ended !== undefined
      })
    },

    /**
     * Records the manifest of a pending push. The push stays pending, and its tag is not set. Returns false if the push
     * was recorded before, or if the index no longer has the bytes of the manifest.
     */
    async recordManifest({ id, repository, digest }: PendingPush): Promise<boolean> {
      return orRollBack(db, async (tx) => {
        const isRecorded = await recordRow(tx, sql`name = ${repository}`, digest)
        const pending = await tx
          .selectFrom('pending_pushes')
          .select(sql<boolean>`raw is not null`.as('hasBytes'))
          .where('id', '=', id)
          .forUpdate()
          .executeTakeFirst()
        if (pending === undefined) return false
        if (isRecorded) return true
        if (!pending.hasBytes) return false
        // The previous version announced the push.
        const repositoryId = await putRepository(tx, repository)
        await sql`
          insert into all_manifests (
            repository_id, digest, media_type, artifact_type, subject, annotations, raw, size)
          select ${repositoryId}::uuid, digest, media_type, facts ->> 'artifactType', facts ->> 'subject',
            facts -> 'annotations', raw, length(raw)
          from pending_pushes where id = ${id}
          on conflict (repository_id, digest) do update
            set state = excluded.state, revision_id = nextval('revision_ids')`.execute(tx)
        await sql`
          insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
          select ${repositoryId}::uuid, push.digest, named.digest, named.kind, named.size
          from pending_pushes push
          cross join jsonb_to_recordset(facts -> 'references') as named (digest text, kind text, size bigint)
          where push.id = ${id}
          on conflict do nothing`.execute(tx)
        return true
      })
    },

    /**
     * Removes pending manifests without a pending push, and pending repositories without a manifest. Such rows remain
     * if the previous version ends a push, or if one push ends while another one of the same manifest is announced.
     */
    async removeLeftovers(): Promise<void> {
      await sql`
        delete from all_manifests where state = 'pending' and not exists (
          select from pending_pushes push join all_repositories on all_repositories.name = push.repository
          where all_repositories.id = all_manifests.repository_id and push.digest = all_manifests.digest
        )`.execute(db)
      await sql`
        delete from all_repositories where pending and deleting_since is null
          and not exists (select from all_manifests where repository_id = all_repositories.id)`.execute(db)
    },
  }
}
