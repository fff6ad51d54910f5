import type { Database, Schema } from '@registry-manager/database'
import { inTransaction } from '@registry-manager/database'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import { readReferences } from './manifest.ts'

interface UnsizedRow {
  readonly repositoryId: string
  readonly digest: string
  readonly size: number
}

/** Maximum number of manifests, and of their bytes, that one transaction reads. */
const [MAX_MANIFESTS, MAX_BYTES] = [200, 1024 * 1024]

/**
 * Fills in sizes for manifests that an earlier version recorded. That version stored no sizes, and recorded every entry
 * of an image index as a manifest.
 */
export function createManifestSizesRepository(db: Database) {
  return {
    /**
     * Fills in the sizes of some manifests. Returns false if none were left. A manifest that is not JSON or not UTF-8
     * counts as one without references.
     */
    async fillSizes(limit = MAX_MANIFESTS): Promise<boolean> {
      return inTransaction(db, async (tx) => {
        const { rows } = await sql<UnsizedRow>`
          select repository_id as "repositoryId", digest, length(raw) as size from manifests
          where size is null order by repository_id, digest limit ${limit} for update skip locked`.execute(tx)
        let bytes = 0
        const some = rows.filter(({ size }, at) => (bytes += size) <= MAX_BYTES || at === 0)
        if (some.length > 0) await fill(tx, some)
        return some.length > 0
      })
    },

    /** Marks the first manifest as done without the sizes of its references, and returns its name. */
    async skipSizes(): Promise<{ readonly repository: string; readonly reference: string } | undefined> {
      const { rows } = await sql<{ repository: string; reference: string }>`
        update manifests set size = length(raw) from repositories
        where repositories.id = repository_id and (repository_id, digest) in (
          select repository_id, digest from manifests
          where size is null order by repository_id, digest limit 1)
        returning repositories.name as repository, manifests.digest as reference`.execute(db)
      return rows[0]
    },
  }
}

async function fill(tx: Transaction<Schema>, some: readonly UnsizedRow[]): Promise<void> {
  const keys = sql`unnest(
    ${sql.val(some.map(({ repositoryId }) => repositoryId))}::uuid[],
    ${sql.val(some.map(({ digest }) => digest))}::text[]
  ) as wanted (repository_id, digest)`
  const { rows } = await sql<{ repositoryId: string; digest: string; raw: Buffer }>`
    select manifests.repository_id as "repositoryId", manifests.digest, raw
    from ${keys} join manifests using (repository_id, digest)`.execute(tx)
  const found = rows.flatMap(({ repositoryId, digest, raw }) =>
    readReferences(Buffer.from(raw)).map((one) => ({ ...one, repositoryId, manifest: digest })),
  )
  const named = sql`unnest(
    ${sql.val(found.map(({ repositoryId }) => repositoryId))}::uuid[],
    ${sql.val(found.map(({ manifest }) => manifest))}::text[],
    ${sql.val(found.map(({ digest }) => digest))}::text[],
    ${sql.val(found.map(({ kind }) => kind))}::text[],
    ${sql.val(found.map(({ size }) => size))}::bigint[]
  ) as named (repository_id, manifest_digest, digest, kind, size)`
  await sql`
    insert into manifest_references (repository_id, manifest_digest, digest, kind, size) select * from ${named}
    on conflict (repository_id, manifest_digest, digest, kind) do update set size = excluded.size`.execute(tx)
  // Remove entries of an image index that are blobs but were recorded as manifests.
  await sql`
    delete from manifest_references old using ${keys}
    where old.repository_id = wanted.repository_id and old.manifest_digest = wanted.digest
      and old.kind = 'manifest' and (old.repository_id, old.manifest_digest, old.digest) not in (
        select repository_id, manifest_digest, digest from ${named} where kind = 'manifest')`.execute(tx)
  await sql`
    update manifests set size = length(raw) from ${keys}
    where manifests.repository_id = wanted.repository_id and manifests.digest = wanted.digest`.execute(tx)
}
