import type { Database, Schema } from '@registry-manager/database'
import { anyOf, inTransaction } from '@registry-manager/database'
import type { RawBuilder, Transaction } from 'kysely'
import { sql } from 'kysely'
import type { TrashEntry } from './trash-entry.ts'
import { trashRepository } from './trash-entry.ts'

/** The state of a manifest of the trash: being copied to the trash, in the trash, or restored from it. */
export type TrashedState = 'moving' | 'trashed' | 'restored'

export interface TrashedManifest {
  readonly mediaType: string
  readonly raw: Buffer
}

/** The id of the repository of an entry, as a subquery. */
export const idOf = (entry: Pick<TrashEntry, 'id'>) =>
  sql`(select id from all_repositories where name = ${trashRepository(entry)})`

/**
 * The manifests in the trash: rows of repositories with reserved names. They are rows of the index, so the garbage
 * collection keeps their data. The views hide them from all readers.
 */
export function createTrashContentsRepository(db: Database) {
  return {
    /**
     * Copies up to `limit` manifests of a repository that is being deleted, from a digest on, and all of its tags.
     * Returns the digest after which the next page starts; undefined if nothing is left.
     */
    async copyPage(entry: TrashEntry, after: string, limit: number): Promise<string | undefined> {
      return inTransaction(db, async (tx) => {
        const { rows } = await sql<{ digest: string }>`
          select digest from manifests where repository_id = ${entry.repositoryId}::uuid and digest > ${after}
          order by digest limit ${limit}`.execute(tx)
        if (rows.length === 0) return undefined
        const digests = rows.map(({ digest }) => digest)
        await copyManifests(tx, entry, digests)
        await copyTags(tx, entry, digests)
        return digests.at(-1)
      })
    },

    /**
     * Copies manifests of a repository that is being deleted, and their tags. Returns the number of manifests that were
     * not copied before.
     */
    async copyAgain(entry: TrashEntry, digests: readonly string[]): Promise<number> {
      return inTransaction(db, async (tx) => {
        const copied = await copyManifests(tx, entry, digests)
        await copyTags(tx, entry, digests)
        return copied
      })
    },

    /**
     * A page of the manifests in a state, after a digest, that reference no manifest in the same state. So a manifest
     * is moved or restored only after the manifests that it references.
     */
    async listReady(entry: TrashEntry, state: TrashedState, after: string, limit: number): Promise<string[]> {
      const { rows } = await sql<{ digest: string }>`
        select digest from all_manifests as manifest
        where repository_id = ${idOf(entry)} and state = ${state} and digest > ${after} and not exists (
          select from manifest_references as reference
          join all_manifests as child on child.repository_id = reference.repository_id
            and reference.digest in (child.digest, child.sha512)
          where reference.repository_id = manifest.repository_id and manifest_digest = manifest.digest
            and kind = 'manifest' and child.state = ${state})
        order by digest limit ${limit}`.execute(db)
      return rows.map(({ digest }) => digest)
    },

    async readManifest(entry: TrashEntry, digest: string): Promise<TrashedManifest | undefined> {
      const { rows } = await sql<TrashedManifest>`
        select media_type as "mediaType", raw from all_manifests
        where repository_id = ${idOf(entry)} and digest = ${digest}`.execute(db)
      return rows[0]
    },

    async measureManifest(entry: TrashEntry, digest: string): Promise<number> {
      const { rows } = await sql<{ size: number }>`
        select length(raw) as size from all_manifests
        where repository_id = ${idOf(entry)} and digest = ${digest}`.execute(db)
      return rows[0]?.size ?? 0
    },

    async setState(entry: TrashEntry, digest: string, state: TrashedState): Promise<void> {
      await sql`
        update all_manifests set state = ${state}
        where repository_id = ${idOf(entry)} and digest = ${digest}`.execute(db)
    },

    /** A page, after a tag, of the tags that restored manifests had before the deletion. */
    async listTags(
      entry: TrashEntry,
      after: string,
      limit: number,
    ): Promise<{ readonly tag: string; readonly digest: string }[]> {
      const { rows } = await sql<{ tag: string; digest: string }>`
        select tag, digest from trash_tags
        where trash_id = ${entry.id}::uuid and tag > ${after} and exists (
          select from all_manifests
          where repository_id = ${idOf(entry)} and digest = trash_tags.digest and state = 'restored')
        order by tag limit ${limit}`.execute(db)
      return rows
    },

    /** Some manifests of an entry with the digests of the blobs that they reference: the sha256 where it is known. */
    async listContents(
      entry: TrashEntry,
      limit: number,
    ): Promise<{ readonly digest: string; readonly blobs: readonly string[] }[]> {
      const { rows } = await sql<{ digest: string; blobs: string[] }>`
        select digest, array(
            select coalesce(sha256, reference.digest) from manifest_references as reference
            left join blob_aliases on repository = ${trashRepository(entry)} and sha512 = reference.digest
            where repository_id = manifest.repository_id and manifest_digest = manifest.digest
              and kind <> 'manifest')::text[] as blobs
        from all_manifests as manifest where repository_id = ${idOf(entry)} order by digest limit ${limit}`.execute(
        db,
      )
      return rows
    },

    async removeManifests(entry: TrashEntry, digests: readonly string[]): Promise<void> {
      const given = anyOf(digests)
      // The references first: a cascade would remove those of each manifest by a statement of its own.
      await sql`
        delete from manifest_references
        where repository_id = ${idOf(entry)} and manifest_digest = ${given}`.execute(db)
      await sql`delete from all_manifests where repository_id = ${idOf(entry)} and digest = ${given}`.execute(
        db,
      )
    },
  }
}

/**
 * The digests of a manifest and of the manifests that are copied to the trash with it: its referrers, their referrers,
 * and the manifests that all of these reference. A referrer with a tag is not copied. Neither is a referrer in an image
 * index, other than that of the Referrers Tag Schema.
 */
export async function contentsOf(
  tx: Transaction<Schema>,
  repositoryId: string,
  digest: string,
  referrersTag: string,
): Promise<string[]> {
  const isNamed = (referrer: RawBuilder<unknown>) => sql`(exists (
      select from tags where tags.repository_id = ${repositoryId}::uuid and tags.digest = ${referrer}.digest
    ) or exists (
      select from manifest_references as parent
      where parent.repository_id = ${repositoryId}::uuid and parent.kind = 'manifest'
        and parent.digest in (${referrer}.digest, ${referrer}.sha512)
        and not coalesce((
          select bool_and(name ~ ${referrersTag}) from tags
          where tags.repository_id = parent.repository_id and tags.digest = parent.manifest_digest), false)))`
  const { rows } = await sql<{ digest: string }>`
    with recursive own (digest, sha512) as (
      select digest, sha512 from manifests where repository_id = ${repositoryId}::uuid and digest = ${digest}
      union
      select referrer.digest, referrer.sha512 from own
      join manifests as referrer on referrer.repository_id = ${repositoryId}::uuid
        and referrer.subject in (own.digest, own.sha512)
      where not ${isNamed(sql`referrer`)}
    ), contents (digest) as (
      select digest from own
      union
      select child.digest from contents
      join manifest_references as reference on reference.repository_id = ${repositoryId}::uuid
        and reference.manifest_digest = contents.digest and reference.kind = 'manifest'
      join manifests as child on child.repository_id = ${repositoryId}::uuid
        and reference.digest in (child.digest, child.sha512)
    )
    select digest from contents`.execute(tx)
  return rows.map((row) => row.digest)
}

/**
 * Copies manifests with their references into the repository of an entry. Creates the repository. Returns the number of
 * manifests that the entry did not have.
 */
export async function copyManifests(
  tx: Transaction<Schema>,
  entry: TrashEntry,
  digests: readonly string[],
): Promise<number> {
  const name = trashRepository(entry)
  const given = anyOf(digests)
  await sql`insert into all_repositories (name) values (${name}) on conflict do nothing`.execute(tx)
  const target = sql`(select id from all_repositories where name = ${name})`
  const { numAffectedRows } = await sql`
    insert into all_manifests (
      repository_id, digest, media_type, artifact_type, subject, annotations, raw, size, pushed_at, state)
    select ${target}, digest, media_type, artifact_type, subject, annotations, raw, size, pushed_at, 'moving'
    from manifests where repository_id = ${entry.repositoryId}::uuid and digest = ${given}
    on conflict do nothing`.execute(tx)
  // Only references of copied manifests: another deletion may have removed a manifest in the meantime.
  await sql`
    insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
    select copied.repository_id, manifest_digest, reference.digest, kind, reference.size
    from manifest_references as reference
    join all_manifests as copied on copied.repository_id = ${target} and copied.digest = manifest_digest
    where reference.repository_id = ${entry.repositoryId}::uuid and manifest_digest = ${given}
    on conflict do nothing`.execute(tx)
  await sql`
    insert into blob_aliases (repository, sha512, sha256)
    select ${name}, sha512, sha256 from blob_aliases
    where repository = ${entry.repository} and sha512 in (
      select digest from manifest_references
      where repository_id = ${target} and manifest_digest = ${given} and digest > 'sha512:')
    on conflict do nothing`.execute(tx)
  return Number(numAffectedRows)
}

/** Copies the tags of manifests, unless the entry is gone. */
export async function copyTags(
  tx: Transaction<Schema>,
  entry: TrashEntry,
  digests: readonly string[],
): Promise<void> {
  await sql`
    insert into trash_tags (trash_id, tag, digest)
    select ${entry.id}::uuid, name, digest from tags
    where repository_id = ${entry.repositoryId}::uuid and digest = ${anyOf(digests)}
      and exists (select from trash where id = ${entry.id}::uuid)
    on conflict (trash_id, tag) do update set digest = excluded.digest`.execute(tx)
}
