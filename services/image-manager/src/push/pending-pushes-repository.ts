import type { Database } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import { contextToStore } from '@registry-manager/events'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import type { ManifestFacts } from '../index/manifest.ts'
import { putRepository } from '../index/manifests-repository.ts'
import type { PendingFacts, PendingPush } from './record-pending-push.ts'

/** Whether the request of a pending push has an event of the same push. */
const isPushRecorded = sql<boolean>`exists (
  select from events
  where events.request_id = admissions.context ->> 'requestId' and events.action = 'push'
    and events.repository = admissions.repository and events.target ->> 'digest' = admissions.digest
    and events.target ->> 'tag' is not distinct from admissions.tag)`

/** Manifests that were announced and whose outcome is not recorded yet. */
export function createPendingPushesRepository(db: Database) {
  return {
    /**
     * Stores a pending push, with the context of the current request and the digest that the tag has now. `digests`:
     * the digests that the manifest references. If absent, it may reference any blob of the repository.
     */
    async insertPendingPush({
      id,
      repository,
      digest,
      tag,
      mediaType,
      raw,
      facts,
      digests,
    }: {
      readonly id?: string
      readonly repository: string
      readonly digest: string
      readonly tag: string | null
      readonly mediaType: string
      readonly raw: Buffer
      readonly facts?: ManifestFacts
      readonly digests?: readonly string[]
    }): Promise<string> {
      const row = await db
        .insertInto('admissions')
        .values({
          id,
          repository,
          digest,
          tag,
          media_type: mediaType,
          raw,
          facts: facts === undefined ? null : JSON.stringify(facts),
          digests: digests && [...digests],
          context: contextToStore(),
          replaced: sql<string | null>`(
            select tags.digest from tags join repositories on repositories.id = tags.repository_id
            where repositories.name = ${repository} and tags.name = ${tag})`,
        })
        .returning('id')
        .executeTakeFirstOrThrow()
      return row.id
    },

    /** A pending push without the bytes and the annotations of its manifest. */
    async findPendingPush(id: string): Promise<PendingPush | undefined> {
      const row = await db
        .selectFrom('admissions')
        .select([
          'id',
          'repository',
          'digest',
          'tag',
          'media_type as mediaType',
          'admitted_at as announcedAt',
          'context',
          'replaced',
        ])
        .select(sql<number>`length(raw)`.as('size'))
        .select(sql<PendingFacts | null>`facts - 'annotations'`.as('facts'))
        .where('id', '=', id)
        .executeTakeFirst()
      return row && { ...row, facts: row.facts ?? undefined }
    },

    async readBytes(id: string): Promise<Buffer | undefined> {
      const row = await db.selectFrom('admissions').select('raw').where('id', '=', id).executeTakeFirst()
      return row?.raw
    },

    /** The manifest of any pending push of this digest. */
    async findBytesByDigest(
      repository: string,
      digest: string,
    ): Promise<{ readonly mediaType: string; readonly raw: Buffer } | undefined> {
      return db
        .selectFrom('admissions')
        .select(['media_type as mediaType', 'raw'])
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .limit(1)
        .executeTakeFirst()
    },

    /** Whether a push of this digest is pending. */
    async isPending(repository: string, digest: string): Promise<boolean> {
      const row = await db
        .selectFrom('admissions')
        .select('id')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },

    /**
     * The transaction that records a pushed manifest, with everything that must become visible together. Copies the
     * manifest from its pending push inside Postgres: bytes and annotations may be megabytes. Returns false if the push
     * was recorded before, or if a previous version announced it without the facts of its manifest.
     */
    async recordManifest(repository: string, id: string): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        const pending = await tx
          .selectFrom('admissions')
          .select('id')
          .where('id', '=', id)
          .where('facts', 'is not', null)
          .forUpdate()
          .executeTakeFirst()
        if (pending === undefined) return false
        const repositoryId = await putRepository(tx, repository)
        await sql`
          insert into manifests (
            repository_id, digest, media_type, artifact_type, subject, annotations, raw, size)
          select ${repositoryId}::uuid, digest, media_type, facts ->> 'artifactType', facts ->> 'subject',
            facts -> 'annotations', raw, length(raw)
          from admissions where id = ${id}
          on conflict (repository_id, digest) do update set revision = nextval('tag_revisions')`.execute(tx)
        await sql`
          insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
          select ${repositoryId}::uuid, admissions.digest, named.digest, named.kind, named.size
          from admissions
          cross join jsonb_to_recordset(facts -> 'references') as named (digest text, kind text, size bigint)
          where admissions.id = ${id}
          on conflict do nothing`.execute(tx)
        return true
      })
    },

    /**
     * Ends a pending push, together with the events of its outcome. Only one of several calls has an effect. There are
     * no events if the same request has recorded its push before: nginx or the proxy repeated it.
     */
    async endPendingPush(id: string, events: readonly NewEvent[]): Promise<void> {
      await db.transaction().execute(async (tx) => {
        const ended = await tx
          .deleteFrom('admissions')
          .where('id', '=', id)
          .returning(isPushRecorded.as('isRecorded'))
          .executeTakeFirst()
        if (ended?.isRecorded === false) await recordEventsIn(tx)(...events)
      })
    },

    async removePendingPush(id: string): Promise<void> {
      await db.deleteFrom('admissions').where('id', '=', id).execute()
    },
  }
}
