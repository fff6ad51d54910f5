import type { Database, Schema } from '@registry-manager/database'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import type { Manifest, ManifestReference } from './manifest.ts'

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
        await putRow(tx, id, manifest, kept)
        await putReferences(tx, id, manifest)
        return id
      })
    },

    /**
     * Records an admitted manifest from what its admission holdsExactly: bytes and annotations do not leave the database.
     * False where the admission was settled before, or holds no facts.
     */
    async putPending(repository: string, admission: string): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        const pending = await tx
          .selectFrom('admissions')
          .select('id')
          .where('id', '=', admission)
          .where('facts', 'is not', null)
          .forUpdate()
          .executeTakeFirst()
        if (pending === undefined) return false
        const id = await putRepository(tx, repository)
        await sql`
          insert into manifests (
            repository_id, digest, media_type, artifact_type, subject, annotations, raw, size)
          select ${id}::uuid, digest, media_type, facts ->> 'artifactType', facts ->> 'subject',
            facts -> 'annotations', raw, length(raw)
          from admissions where id = ${admission}
          on conflict (repository_id, digest) do update set revision = nextval('tag_revisions')`.execute(tx)
        await sql`
          insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
          select ${id}::uuid, admissions.digest, named.digest, named.kind, named.size
          from admissions
          cross join jsonb_to_recordset(facts -> 'references') as named (digest text, kind text, size bigint)
          where admissions.id = ${admission}
          on conflict do nothing`.execute(tx)
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
  { digest, mediaType, artifactType, subject, annotations, raw, size }: Manifest,
  kept: boolean,
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
      kept,
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
