import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { ParentImageIndex } from './delete-manifest.ts'

/** Queries of the digests that the manifests of a repository reference. */
export function createReferencesRepository(db: Database) {
  const idOf = (repository: string) => sql`(select id from all_repositories where name = ${repository})`
  const array = (digests: readonly string[]) => sql`${sql.val([...digests])}::text[]`

  return {
    /** The digests that a manifest of the index references. */
    async listReferences(repository: string, digest: string): Promise<string[]> {
      const rows = await db
        .selectFrom('manifest_references')
        .innerJoin('repositories', 'repositories.id', 'manifest_references.repository_id')
        .select('digest')
        .distinct()
        .where('repositories.name', '=', repository)
        .where('manifest_digest', '=', digest)
        .execute()
      return rows.map((row) => row.digest)
    },

    /** The other digests of some blobs, as far as aliases are recorded. */
    async listOtherNames(
      repository: string,
      digests: readonly string[],
    ): Promise<{ digest: string; name: string }[]> {
      const { rows } = await sql<{ digest: string; name: string }>`
        select distinct wanted.digest, name
        from unnest(${array(digests)}) as wanted (digest)
        join blob_aliases mine on mine.repository = ${repository}
          and (mine.sha512 = wanted.digest or mine.sha256 = wanted.digest)
        join blob_aliases other on other.repository = mine.repository and other.sha256 = mine.sha256
        cross join lateral (values (other.sha512), (other.sha256)) as each (name)
        where name <> wanted.digest`.execute(db)
      return rows
    },

    /** Blobs that manifests of a repository reference by a sha512 digest whose sha256 is not recorded. */
    async listUnresolved(repository: string, limit: number): Promise<string[]> {
      const { rows } = await sql<{ digest: string }>`
        select distinct digest from manifest_references as reference
        where repository_id = ${idOf(repository)} and digest > 'sha512:' and kind <> 'manifest'
          and not exists (
            select from blob_aliases where repository = ${repository} and sha512 = reference.digest
          )
        limit ${limit}`.execute(db)
      return rows.map(({ digest }) => digest)
    },

    /**
     * Returns the digests that a recorded, index-only or pending manifest of the repository references, and those that
     * are the digest of a recorded or index-only manifest. A pending push without a list of references counts as a
     * reference to every digest.
     */
    async listReferenced(repository: string, digests: readonly string[]): Promise<string[]> {
      const { rows } = await sql<{ digest: string }>`
        select digest from unnest(${array(digests)}) as wanted (digest)
        where exists (
          select from manifest_references as reference
          where repository_id = ${idOf(repository)} and reference.digest = wanted.digest
        ) or exists (
          select from manifests
          where repository_id = ${idOf(repository)} and manifests.digest = wanted.digest
        ) or exists (
          select from pending_pushes
          where repository = ${repository} and (digests is null or wanted.digest = any(digests))
        )`.execute(db)
      return rows.map(({ digest }) => digest)
    },

    /**
     * The tags of the manifests with these digests, and of those that need them, directly or through image indexes. An
     * image index may reference a manifest by its sha512.
     */
    async listTagsThatNeed(repository: string, digests: readonly string[]): Promise<string[]> {
      const { rows } = await sql<{ tag: string }>`
        with recursive needed (digest) as (
          select digest collate "C" from unnest(${array(digests)}) as given (digest)
          union
          select named.digest from needed join manifest_references as reference
            on reference.repository_id = ${idOf(repository)} and reference.digest = needed.digest
          cross join lateral (
            select reference.manifest_digest as digest
            union all
            select sha512 from all_manifests as manifest
            where manifest.repository_id = reference.repository_id and manifest.digest = reference.manifest_digest
          ) as named
        )
        select name as tag from tags
        where repository_id = ${idOf(repository)} and digest in (select digest from needed)
        union
        select tag from pending_pushes
        where repository = ${repository} and tag is not null and digest in (select digest from needed)
        order by tag`.execute(db)
      return rows.map(({ tag }) => tag)
    },

    /**
     * A recorded or pending image index that references a manifest by one of its digests. Skips an image index all of
     * whose tags match `ignoredTags`, a POSIX regular expression.
     */
    async findParentImageIndex(
      repository: string,
      digests: readonly string[],
      ignoredTags: string,
    ): Promise<ParentImageIndex | undefined> {
      const { rows } = await sql<ParentImageIndex>`
        select manifest_digest as digest, (
          select name from tags
          where tags.repository_id = reference.repository_id and tags.digest = manifest_digest
          order by name limit 1
        ) as tag
        from manifest_references as reference
        where repository_id = ${idOf(repository)} and digest = any(${array(digests)}) and kind = 'manifest'
          and exists (
            select from manifests
            where manifests.repository_id = reference.repository_id and manifests.digest = manifest_digest
          )
          and not coalesce((
            select bool_and(name ~ ${ignoredTags}) from tags
            where tags.repository_id = reference.repository_id and tags.digest = manifest_digest
          ), false)
        union all
        select digest, tag from pending_pushes
        where repository = ${repository} and digests && ${array(digests)} and coalesce(tag !~ ${ignoredTags}, true)
        limit 1`.execute(db)
      return rows[0]
    },
  }
}
