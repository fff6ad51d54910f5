import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { ManifestFacts } from '../index/manifest.ts'

/** What is read of an admitted manifest: not its annotations, which may be megabytes. */
export type PendingFacts = Omit<ManifestFacts, 'annotations'>

/** A manifest on its way to the registry: what became of it is asked there. */
export interface PendingPush {
  readonly id: string
  readonly repository: string
  readonly digest: string
  readonly tag: string | null
  readonly mediaType: string
  /** Undefined where the previous version admitted it. */
  readonly facts: PendingFacts | undefined
  readonly admittedAt: Date
}

export interface NewAdmission extends Omit<PendingPush, 'id' | 'admittedAt' | 'facts'> {
  readonly id?: string
  readonly raw: Buffer
  readonly facts?: ManifestFacts
  readonly digests?: readonly string[]
}

/** Manifests that were admitted and not yet recorded. */
export function createPendingPushes(db: Database) {
  return {
    /** `digests`: what the manifest references; where it is left out, it is taken to reference everything. */
    async admit({
      id,
      repository,
      digest,
      tag,
      mediaType,
      raw,
      facts,
      digests,
    }: NewAdmission): Promise<string> {
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
        })
        .returning('id')
        .executeTakeFirstOrThrow()
      return row.id
    },

    /** An admission without the manifest's bytes. */
    async findPendingPush(id: string): Promise<PendingPush | undefined> {
      const row = await db
        .selectFrom('admissions')
        .select(['id', 'repository', 'digest', 'tag', 'media_type as mediaType', 'admitted_at as admittedAt'])
        .select(sql<PendingFacts | null>`facts - 'annotations'`.as('facts'))
        .where('id', '=', id)
        .executeTakeFirst()
      return row && { ...row, facts: row.facts ?? undefined }
    },

    /** The bytes of an admitted manifest. */
    async readPendingBytes(id: string): Promise<Buffer | undefined> {
      const row = await db.selectFrom('admissions').select('raw').where('id', '=', id).executeTakeFirst()
      return row?.raw
    },

    /** The manifest of some admission of this digest: somebody else's push that is not recorded yet. */
    async findPending(
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

    async isAdmitted(repository: string, digest: string): Promise<boolean> {
      const row = await db
        .selectFrom('admissions')
        .select('id')
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },

    /** Whether a repository came into being after a time: another one of its name may have been deleted since. */
    async isNewSince(repository: string, time: Date): Promise<boolean> {
      const row = await db
        .selectFrom('repositories')
        .select('id')
        .where('name', '=', repository)
        .where('created_at', '>', time)
        .executeTakeFirst()
      return row !== undefined
    },

    async removePendingPush(id: string): Promise<void> {
      await db.deleteFrom('admissions').where('id', '=', id).execute()
    },
  }
}
