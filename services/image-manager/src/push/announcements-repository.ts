import type { Database } from '@registry-manager/database'
import { isDeadlock, isForeignKeyViolation } from '@registry-manager/database'
import { contextToStore } from '@registry-manager/events'
import { sql } from 'kysely'
import type { Manifest, ManifestReference } from '../index/manifest.ts'

export interface NewPendingPush {
  readonly repository: string
  readonly tag: string | null
  readonly manifest: Manifest
}

/**
 * Stores a push in one statement, with the context of the current request and the digest that the tag has now. `id` is
 * null if the repository is being deleted, or was created or deleted by another process since the statement began.
 * Locks the repository before its manifest: the foreign key would lock it afterwards, and deletions lock in this order.
 */
export async function insertOnce(
  db: Database,
  { repository, tag, manifest }: NewPendingPush,
): Promise<{ readonly id: string | null; readonly isBeingDeleted: boolean }> {
  const { raw, annotations, ...facts } = manifest
  const { digest, mediaType, artifactType = null, subject = null, references, size } = facts
  const ofReferences = (value: (one: ManifestReference) => unknown) => sql.val(references.map(value))
  const digests = [...new Set(references.map((one) => one.digest))]
  const statement = sql<{ id: string | null; isBeingDeleted: boolean }>`
    with known as (
      select id, deleting_since is not null as deleting from all_repositories where name = ${repository}
      for key share
    ), created as (
      insert into all_repositories (name, pending) select ${repository}, true where not exists (select from known)
      on conflict (name) do nothing returning id
    ), repository as (
      select id from known where not deleting union all select id from created
    ), staged as (
      insert into all_manifests (
        repository_id, digest, media_type, artifact_type, subject, annotations, raw, size, state)
      select id, ${digest}, ${mediaType}, ${artifactType}, ${subject},
        ${annotations === undefined ? null : JSON.stringify(annotations)}::jsonb, ${raw}::bytea, ${size}::bigint,
        'pending'
      from repository on conflict (repository_id, digest) do nothing returning repository_id
    ), referenced as (
      insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
      select repository_id, ${digest}, named.digest, named.kind, named.size
      from staged cross join unnest(
        ${ofReferences((one) => one.digest)}::text[], ${ofReferences(({ kind }) => kind)}::text[],
        ${ofReferences(({ size }) => size)}::bigint[]
      ) as named (digest, kind, size)
    ), pending as (
      insert into pending_pushes (repository, digest, tag, media_type, facts, digests, context, replaced)
      select ${repository}, ${digest}, ${tag}, ${mediaType}, ${JSON.stringify(facts)}::jsonb,
        ${sql.val(digests)}::text[], ${contextToStore()}::jsonb,
        (select tags.digest from tags where repository_id = repository.id and tags.name = ${tag})
      from repository returning id
    )
    select (select id from pending), coalesce((select deleting from known), false) as "isBeingDeleted"`
  try {
    const { rows } = await statement.execute(db)
    return rows[0] ?? NOT_STORED
  } catch (error) {
    // The repository was deleted between the snapshot of the statement and its check of the foreign key.
    // Or Postgres has undone the statement because of a deadlock.
    if (isForeignKeyViolation(error) || isDeadlock(error)) return NOT_STORED
    throw error
  }
}

const NOT_STORED = { id: null, isBeingDeleted: false }
