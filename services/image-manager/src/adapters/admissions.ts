import type { Database } from '@registry-manager/database'

/** A manifest on its way to the registry: what became of it is asked there. */
export interface Admission {
  readonly id: string
  readonly repository: string
  readonly digest: string
  readonly tag: string | null
  readonly mediaType: string
  readonly raw: Buffer
  readonly admittedAt: Date
}

/** Manifests that were admitted and not yet written down. */
export function createAdmissions(db: Database) {
  return {
    /** `digests`: what the manifest references; where it is left out, it is taken to reference everything. */
    async admit({
      id,
      ...admission
    }: Omit<Admission, 'id' | 'admittedAt'> & { id?: string; digests?: readonly string[] }): Promise<string> {
      const { repository, digest, tag, mediaType, raw } = admission
      const digests = admission.digests && [...admission.digests]
      const row = await db
        .insertInto('admissions')
        .values({ id, repository, digest, tag, media_type: mediaType, raw, digests })
        .returning('id')
        .executeTakeFirstOrThrow()
      return row.id
    },

    async findAdmission(id: string): Promise<Admission | undefined> {
      return db
        .selectFrom('admissions')
        .select(['id', 'repository', 'digest', 'tag', 'media_type as mediaType', 'raw'])
        .select('admitted_at as admittedAt')
        .where('id', '=', id)
        .executeTakeFirst()
    },

    /** The manifest of some admission of this digest: somebody else's push that is not recorded yet. */
    async findAdmitted(
      repository: string,
      digest: string,
    ): Promise<Pick<Admission, 'mediaType' | 'raw'> | undefined> {
      return db
        .selectFrom('admissions')
        .select(['media_type as mediaType', 'raw'])
        .where('repository', '=', repository)
        .where('digest', '=', digest)
        .limit(1)
        .executeTakeFirst()
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

    async settleAdmission(id: string): Promise<void> {
      await db.deleteFrom('admissions').where('id', '=', id).execute()
    },
  }
}
