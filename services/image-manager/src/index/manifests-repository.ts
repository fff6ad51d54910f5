import type { Database, Schema } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'
import { endGlobal } from './global-scope-repository.ts'
import type { Manifest, ManifestReference } from './manifest.ts'

/**
 * The manifests of the index and the digests that they reference. Each write is one transaction, safe to repeat, of a
 * number of statements that does not depend on the size of the manifest.
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
      return db.transaction().execute(async (tx) => {
        const id = await putRepository(tx, repository)
        await putRow(tx, id, manifest, indexOnly)
        await putReferences(tx, id, manifest)
        await recordEventsIn(tx)(...events)
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
      revision: number,
      {
        orphansBlobs = false,
        keepsRepository = false,
      }: { readonly orphansBlobs?: boolean; readonly keepsRepository?: boolean } = {},
      events: readonly NewEvent[] = [],
    ): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
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
          .where('revision', '=', revision)
          .executeTakeFirstOrThrow()
        if (numDeletedRows === 0n) return false
        await recordEventsIn(tx)(...events)
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

    /** Those of the digests, sha256 or sha512, that name a manifest of the repository. */
    async filterManifests(repository: string, digests: readonly string[]): Promise<ReadonlySet<string>> {
      const { rows } = await sql<{ digest: string }>`
        select wanted.digest from unnest(${sql.val([...digests])}::text[]) as wanted (digest)
        where exists (
          select from manifests join repositories on repositories.id = repository_id
          where name = ${repository} and (manifests.digest = wanted.digest or sha512 = wanted.digest))`.execute(
        db,
      )
      return new Set(rows.map(({ digest }) => digest))
    },

    async listManifests(repository: string) {
      return inRepository(repository).select(['digest', 'media_type as mediaType', 'revision']).execute()
    },

    async findRevision(repository: string, digest: string): Promise<number | undefined> {
      const row = await inRepository(repository)
        .select('revision')
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
        .select(['digest', 'sha512', 'kept as indexOnly'])
        .where((eb) => eb.or([eb('digest', '=', digest), eb('sha512', '=', digest)]))
        .executeTakeFirst()
    },
  }
}

/** Records that a repository exists and was pushed to. Returns its id. */
export async function putRepository(tx: Transaction<Schema>, name: string): Promise<string> {
  const { id } = await tx
    .insertInto('repositories')
    .values({ name })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ updated_at: new Date() }))
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

async function putRow(
  tx: Transaction<Schema>,
  repositoryId: string,
  { digest, mediaType, artifactType, subject, annotations, raw, size }: Manifest,
  indexOnly: boolean,
): Promise<void> {
  await tx
    .insertInto('manifests')
    .values({
      repository_id: repositoryId,
      digest,
      media_type: mediaType,
      artifact_type: artifactType ?? null,
      subject: subject ?? null,
      annotations: annotations === undefined ? null : JSON.stringify(annotations),
      raw,
      size,
      kept: indexOnly,
    })
    .onConflict((conflict) =>
      conflict.columns(['repository_id', 'digest']).doUpdateSet({ revision: sql`nextval('tag_revisions')` }),
    )
    .execute()
}

/** One statement of five parameters for any number of references: Postgres allows 65,535 parameters. */
async function putReferences(
  tx: Transaction<Schema>,
  repositoryId: string,
  { digest, references }: { readonly digest: string; readonly references: readonly ManifestReference[] },
): Promise<void> {
  if (references.length === 0) return
  await sql`
    insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
    select ${repositoryId}::uuid, ${digest}, named.digest, named.kind, named.size
    from unnest(
      ${sql.val(references.map((one) => one.digest))}::text[],
      ${sql.val(references.map(({ kind }) => kind))}::text[],
      ${sql.val(references.map(({ size }) => size))}::bigint[]
    ) as named (digest, kind, size)
    on conflict do nothing`.execute(tx)
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
