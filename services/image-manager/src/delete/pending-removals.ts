import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'

/** A removal takes less than this, in seconds; a row that is older was left by a process that was killed. */
const REMOVAL_SECONDS = 180

/** How many blobs without a recorded sha256 are resolved at once: there is hardly ever one. */
const UNRESOLVED = 100

/** An index that names a manifest, and one of the index's tags. */
export interface IndexOfManifest {
  readonly digest: string
  readonly tag: string | null
}

/** A tag of the Referrers Tag Schema, as a POSIX regular expression: the digest of the subject, with `-` for `:`. */
const REFERRERS_TAG = '^sha(256|512)-[0-9a-f]{64}$'

/**
 * What deletions are removing from the registry now. A deletion first records what it removes, then looks for a
 * manifest that names it; a push first records the manifest, then looks for a removal of what that names. So of two
 * at the same time at least one sees the other, and no manifest is recorded whose parts are gone.
 */
export function createPendingRemovals(db: Database) {
  const living = sql<boolean>`since > now() - make_interval(secs => ${sql.lit(REMOVAL_SECONDS)})`
  const idOf = (repository: string) => sql`(select id from repositories where name = ${repository})`
  const array = (digests: readonly string[]) => sql`${sql.val([...digests])}::text[]`

  return {
    /** Records what a removal is about to delete. Rows that a killed process left there are deleted. */
    async beginRemoval(removal: string, repository: string, digests: readonly string[]): Promise<void> {
      await sql`
        with stale as (delete from pending_removals where repository = ${repository} and not ${living})
        insert into pending_removals (removal, repository, digest)
        select ${removal}::uuid, ${repository}, digest from unnest(${array(digests)}) as digest
        on conflict do nothing`.execute(db)
    },

    async endRemoval(removal: string, repository: string): Promise<void> {
      await db
        .deleteFrom('pending_removals')
        .where('repository', '=', repository)
        .where('removal', '=', removal)
        .execute()
    },

    /** One of some digests that is being removed now. */
    async findRemoval(repository: string, digests: readonly string[]): Promise<string | undefined> {
      const row = await db
        .selectFrom('pending_removals')
        .select('digest')
        .where('repository', '=', repository)
        .where('digest', '=', sql<string>`any(${array(digests)})`)
        .where(living)
        .limit(1)
        .executeTakeFirst()
      return row?.digest
    },

    /** What a manifest references, as far as the index has it; its own two digests are not among it. */
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

    /** The other names of some blobs, each pushed by a sha512 digest: pairs of a digest and another name of it. */
    async listOtherNames(
      repository: string,
      digests: readonly string[],
    ): Promise<{ digest: string; name: string }[]> {
      const { rows } = await sql<{ digest: string; name: string }>`
        select distinct asked.digest, name
        from unnest(${array(digests)}) as asked (digest)
        join blob_aliases mine on mine.repository = ${repository}
          and (mine.sha512 = asked.digest or mine.sha256 = asked.digest)
        join blob_aliases other on other.repository = mine.repository and other.sha256 = mine.sha256
        cross join lateral (values (other.sha512), (other.sha256)) as each (name)
        where name <> asked.digest`.execute(db)
      return rows
    },

    /** Blobs that manifests of a repository name by a sha512 digest, and whose sha256 was never recorded. */
    async listUnresolved(repository: string): Promise<string[]> {
      const { rows } = await sql<{ digest: string }>`
        select distinct digest from manifest_references as reference
        where repository_id = ${idOf(repository)} and digest > 'sha512:' and kind <> 'manifest'
          and not exists (
            select from blob_aliases where repository = ${repository} and sha512 = reference.digest
          )
        limit ${UNRESOLVED}`.execute(db)
      return rows.map(({ digest }) => digest)
    },

    /** Those of some names, each of a blob, that a recorded, kept or pending manifest of the repository names. */
    async listNamed(repository: string, names: readonly string[]): Promise<string[]> {
      const { rows } = await sql<{ name: string }>`
        select name from unnest(${array(names)}) as asked (name)
        where exists (
          select from manifest_references
          where repository_id = ${idOf(repository)} and digest = asked.name
        ) or exists (
          select from manifests where repository_id = ${idOf(repository)} and digest = asked.name
        ) or exists (
          select from admissions
          where repository = ${repository} and (digests is null or asked.name = any(digests))
        )`.execute(db)
      return rows.map(({ name }) => name)
    },

    /**
     * An index, recorded or pending, that names a manifest by one of its digests. An index under nothing but tags of the
     * Referrers Tag Schema is a list that clients update after they deleted a referrer, so it does not count.
     * Source: OCI distribution-spec 1.1, "Deleting Manifests" and "Referrers Tag Schema".
     */
    async findIndexOf(repository: string, names: readonly string[]): Promise<IndexOfManifest | undefined> {
      const { rows } = await sql<IndexOfManifest>`
        select manifest_digest as digest, (
          select name from tags
          where tags.repository_id = reference.repository_id and tags.digest = manifest_digest
          order by name limit 1
        ) as tag
        from manifest_references as reference
        where repository_id = ${idOf(repository)} and digest = any(${array(names)}) and kind = 'manifest'
          and not coalesce((
            select bool_and(name ~ ${REFERRERS_TAG}) from tags
            where tags.repository_id = reference.repository_id and tags.digest = manifest_digest
          ), false)
        union all
        select digest, tag from admissions
        where repository = ${repository} and digests && ${array(names)} and coalesce(tag !~ ${REFERRERS_TAG}, true)
        limit 1`.execute(db)
      return rows[0]
    },
  }
}
