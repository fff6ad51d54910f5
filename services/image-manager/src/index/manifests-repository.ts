import type { Database } from '@registry-manager/database'
import { anyOf, inTransaction } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import { sql } from 'kysely'
import { recordEventsIn, recordPushIn } from '../events-repository.ts'
import { endGlobal } from './global-scope-repository.ts'
import { orRollBack, putReferences, putRepository, putRow, recordRow } from './manifest-rows-repository.ts'
import type { Manifest } from './manifest.ts'
import { byActor } from './tag-actor-repository.ts'
import { revisionOf } from './tags-repository.ts'

/**
 * The manifests of the index and the digests that they reference. Each write is one transaction, safe to repeat, of a
 * number of statements that does not depend on the size of the manifest. Reads go through the views `manifests` and
 * `repositories`, which leave out pending rows.
 */
export function createManifestsRepository(db: Database) {
  const inRepository = (repository: string) =>
    db
      .selectFrom('manifests')
      .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
      .where('repositories.name', '=', repository)

  return {
    /** Records a manifest, and its repository if that is new. Returns the id of the repository. */
    async putManifest(
      repository: string,
      manifest: Manifest,
      {
        indexOnly = false,
        events = [],
      }: { readonly indexOnly?: boolean; readonly events?: readonly NewEvent[] } = {},
    ): Promise<string> {
      return inTransaction(db, async (tx) => {
        const id = await putRepository(tx, repository)
        await putRow(tx, id, manifest, indexOnly)
        await putReferences(tx, id, manifest)
        await recordPushIn(tx, events)
        return id
      })
    },

    /**
     * Removes a manifest with its tags, unless its revision has changed: then a push has recorded it again. The digests
     * that it references stay known as blobs of the repository. With `orphansBlobs` they become orphans. A repository
     * that loses its last manifest becomes private. Its row is removed too, unless `keepsRepository` is set, or was set
     * by an earlier call that emptied the repository (`keep_empty`). Returns whether the manifest was removed.
     */
    async removeManifest(
      repository: string,
      digest: string,
      revision: string,
      {
        orphansBlobs = false,
        keepsRepository = false,
      }: { readonly orphansBlobs?: boolean; readonly keepsRepository?: boolean } = {},
      events: readonly NewEvent[] = [],
    ): Promise<boolean> {
      return inTransaction(db, async (tx) => {
        // Locked first, so that the last statement sees a push that is being recorded now.
        const row = await tx
          .selectFrom('repositories')
          .select('id')
          .where('name', '=', repository)
          .where('deleting_since', 'is', null)
          .forUpdate()
          .executeTakeFirst()
        if (row === undefined) return false
        await rememberBlobs(tx, { id: row.id, name: repository }, digest, orphansBlobs)
        const { numDeletedRows } = await tx
          .deleteFrom('manifests')
          .where('repository_id', '=', row.id)
          .where('digest', '=', digest)
          .where(revisionOf('manifests'), '=', revision)
          .where(byActor())
          .executeTakeFirstOrThrow()
        if (numDeletedRows === 0n) return false
        await recordEventsIn(tx)(events)
        const left = tx.selectFrom('manifests').select('digest').where('repository_id', '=', row.id)
        if ((await left.limit(1).executeTakeFirst()) !== undefined) return true
        await endGlobal(tx, row.id)
        if (keepsRepository)
          await tx.updateTable('repositories').set({ keep_empty: true }).where('id', '=', row.id).execute()
        await tx.deleteFrom('repositories').where('id', '=', row.id).where('keep_empty', '=', false).execute()
        return true
      })
    },

    async hasManifest(repository: string, digest: string): Promise<boolean> {
      const row = await inRepository(repository)
        .select('digest')
        .where((eb) => eb.or([eb('digest', '=', digest), eb('sha512', '=', digest)]))
        .executeTakeFirst()
      return row !== undefined
    },

    /** Returns the given digests, sha256 or sha512, that name a manifest of the repository. */
    async filterManifests(repository: string, digests: readonly string[]): Promise<ReadonlySet<string>> {
      if (digests.length === 0) return new Set()
      const wanted = anyOf(digests)
      const rows = await inRepository(repository)
        .select(['digest', 'sha512'])
        .where((eb) => eb.or([eb('digest', '=', wanted), eb('sha512', '=', wanted)]))
        .execute()
      const known = new Set(rows.flatMap(({ digest, sha512 }) => [digest, sha512]))
      return new Set(digests.filter((digest) => known.has(digest)))
    },

    /**
     * Whether a manifest is pending: it was announced, and the index has its bytes, but no push of it was recorded.
     */
    async isPending(repository: string, digest: string): Promise<boolean> {
      const row = await db
        .selectFrom('all_manifests')
        .innerJoin('all_repositories', 'all_repositories.id', 'all_manifests.repository_id')
        .select('digest')
        .where('all_repositories.name', '=', repository)
        .where('digest', '=', digest)
        .where('state', '=', 'pending')
        .executeTakeFirst()
      return row !== undefined
    },

    /** Records a pending manifest. Returns false, and changes nothing, if the index does not have its bytes. */
    async recordPending(repository: string, digest: string): Promise<boolean> {
      return orRollBack(db, (tx) => recordRow(tx, sql`name = ${repository}`, digest))
    },

    async findRevision(repository: string, digest: string): Promise<string | undefined> {
      const row = await inRepository(repository)
        .select(revisionOf('manifests').as('revision'))
        .where('digest', '=', digest)
        .executeTakeFirst()
      return row?.revision
    },

    /** Both digests of a manifest, by either of them. The registry knows it by the sha256 only. */
    async resolveDigest(
      repository: string,
      digest: string,
    ): Promise<{ digest: string; sha512: string; indexOnly: boolean } | undefined> {
      return inRepository(repository)
        .select(['digest', 'sha512', sql<boolean>`manifests.state = 'index-only'`.as('indexOnly')])
        .where((eb) => eb.or([eb('digest', '=', digest), eb('sha512', '=', digest)]))
        .executeTakeFirst()
    },
  }
}

/**
 * Keeps the digests that a manifest references as blobs of its repository when the manifest is removed; as orphans if
 * they are to be deleted. Leaves out digests that are manifests.
 */
async function rememberBlobs(
  tx: Database,
  repository: { readonly id: string; readonly name: string },
  manifest: string,
  orphaned: boolean,
): Promise<void> {
  const orphanedAt = orphaned ? sql`now()` : sql`null::timestamptz`
  await sql`
    insert into repository_blobs (repository, digest, announced_at, orphaned_at)
    select distinct ${repository.name}, digest, timestamptz 'epoch', ${orphanedAt}
    from manifest_references as reference
    where repository_id = ${repository.id} and manifest_digest = ${manifest}
      and not exists (
        select from manifests
        where manifests.repository_id = reference.repository_id and manifests.digest = reference.digest
      )
    on conflict (repository, digest) do update
      set orphaned_at = coalesce(excluded.orphaned_at, repository_blobs.orphaned_at)`.execute(tx)
}
