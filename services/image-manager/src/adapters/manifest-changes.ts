import type { Database, Schema } from '@registry-manager/database'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import type { Manifest, ManifestFacts, ManifestReference } from '../domain/manifest.ts'

/** Writes manifests to the index, each in a number of statements that does not depend on what the manifest names. */
export function createManifestChanges(db: Database) {
  return {
    /**
     * Records a manifest, and its repository where it is the first; `kept` where it is here alone. Answers the
     * repository's id.
     */
    async putManifest(repository: string, manifest: Manifest, kept = false): Promise<string> {
      return db.transaction().execute(async (tx) => {
        const id = await putRepository(tx, repository)
        await putRow(tx, id, manifest, { raw: manifest.raw, kept })
        await putReferences(tx, id, manifest)
        return id
      })
    },

    /**
     * Records a manifest whose bytes are in an admission: they do not leave the database. False where the admission was
     * settled before.
     */
    async putAdmitted(repository: string, manifest: ManifestFacts, admission: string): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        const pending = await tx
          .selectFrom('admissions')
          .select('id')
          .where('id', '=', admission)
          .forUpdate()
          .executeTakeFirst()
        if (pending === undefined) return false
        const id = await putRepository(tx, repository)
        await putRow(tx, id, manifest, { admission })
        await putReferences(tx, id, manifest)
        return true
      })
    },
  }
}

async function putRepository(tx: Transaction<Schema>, name: string): Promise<string> {
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
  { digest, mediaType, artifactType, subject, annotations, size }: ManifestFacts,
  bytes: { readonly raw: Buffer; readonly kept: boolean } | { readonly admission: string },
): Promise<void> {
  const raw =
    'raw' in bytes ? bytes.raw : sql<Buffer>`(select raw from admissions where id = ${bytes.admission})`
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
      kept: 'raw' in bytes && bytes.kept,
    })
    .onConflict((conflict) =>
      conflict.columns(['repository_id', 'digest']).doUpdateSet({ revision: sql`nextval('tag_revisions')` }),
    )
    .execute()
}

/** One statement of five parameters, however many references there are: a statement may have 65,535 of them. */
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
