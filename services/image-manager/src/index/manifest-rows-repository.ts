import type { Database, Schema } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import type { RawBuilder, Transaction } from 'kysely'
import { sql } from 'kysely'
import type { Manifest, ManifestReference } from './manifest.ts'

/* Statements that write the rows of a manifest, for transactions of several repositories. */

/**
 * Records a manifest whose bytes the index has: it is no longer pending and gets a new revision. Sets the time of the
 * repository's last push. Locks the repository first, as `removeManifest` does. Returns false if there is no such
 * manifest; then the transaction must be rolled back.
 */
export async function recordRow(
  tx: Transaction<Schema>,
  isRepository: RawBuilder<unknown>,
  digest: string,
): Promise<boolean> {
  const { rows } = await sql`
    with pushed as (
      update all_repositories set updated_at = now(), pending = false where ${isRepository} returning id
    )
    update all_manifests
    set state = case state when 'pending' then 'recorded' else state end, revision_id = nextval('revision_ids')
    from pushed where repository_id = pushed.id and digest = ${digest}
    returning digest`.execute(tx)
  return rows.length === 1
}

class RollBack extends Error {}

/** Runs a transaction, and rolls it back if its work returns false. Returns the result of the work. */
export async function orRollBack(
  db: Database,
  work: (tx: Transaction<Schema>) => Promise<boolean>,
): Promise<boolean> {
  try {
    return await inTransaction(db, async (tx) => {
      if (await work(tx)) return true
      throw new RollBack('the rows of this transaction have changed since they were read')
    })
  } catch (error) {
    if (error instanceof RollBack) return false
    throw error
  }
}

/** Records that a repository exists and was pushed to. Returns its id. */
export async function putRepository(tx: Transaction<Schema>, name: string): Promise<string> {
  const { id } = await tx
    .insertInto('all_repositories')
    .values({ name })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ updated_at: new Date(), pending: false }))
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

export async function putRow(
  tx: Transaction<Schema>,
  repositoryId: string,
  { digest, mediaType, artifactType, subject, annotations, raw, size }: Manifest,
  indexOnly: boolean,
): Promise<void> {
  await tx
    .insertInto('all_manifests')
    .values({
      repository_id: repositoryId,
      digest,
      media_type: mediaType,
      artifact_type: artifactType ?? null,
      subject: subject ?? null,
      annotations: annotations === undefined ? null : JSON.stringify(annotations),
      raw,
      size,
      state: indexOnly ? 'index-only' : 'recorded',
    })
    .onConflict((conflict) =>
      conflict.columns(['repository_id', 'digest']).doUpdateSet({
        revision_id: sql`nextval('revision_ids')`,
        state: sql`case all_manifests.state when 'pending' then excluded.state else all_manifests.state end`,
      }),
    )
    .execute()
}

/** One statement of five parameters for any number of references: Postgres allows 65,535 parameters. */
export async function putReferences(
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
