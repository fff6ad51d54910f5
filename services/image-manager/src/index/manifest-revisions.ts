import type { Database } from '@registry-manager/database'

/** What is read of a manifest before the registry is asked for it. */
export function createManifestRevisions(db: Database) {
  return {
    /** The revision of a manifest; undefined where there is none. */
    async manifestRevision(repository: string, digest: string): Promise<number | undefined> {
      const row = await db
        .selectFrom('manifests')
        .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
        .select('revision')
        .where('repositories.name', '=', repository)
        .where('digest', '=', digest)
        .executeTakeFirst()
      return row?.revision
    },

    /**
     * Both digests of a manifest, by either of them: the registry knows it by the first; not at all where it is `kept`.
     */
    async resolveDigest(
      repository: string,
      digest: string,
    ): Promise<{ digest: string; sha512: string; kept: boolean } | undefined> {
      return db
        .selectFrom('manifests')
        .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
        .select(['digest', 'sha512', 'kept'])
        .where('repositories.name', '=', repository)
        .where((eb) => eb.or([eb('digest', '=', digest), eb('sha512', '=', digest)]))
        .executeTakeFirst()
    },

    /** The tags that name a manifest. */
    async listTagsOf(repository: string, digest: string): Promise<string[]> {
      const rows = await db
        .selectFrom('tags')
        .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
        .select('tags.name')
        .where('repositories.name', '=', repository)
        .where('digest', '=', digest)
        .execute()
      return rows.map(({ name }) => name)
    },
  }
}
