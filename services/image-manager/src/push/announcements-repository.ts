import type { Database } from '@registry-manager/database'
import { isDeadlock, isForeignKeyViolation } from '@registry-manager/database'
import { contextToStore } from '@registry-manager/events'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import type { Manifest, ManifestReference } from '../index/manifest.ts'

export interface NewPendingPush {
  readonly repository: string
  readonly tag: string | null
  readonly manifest: Manifest
}

/** Maximum number of tries of an announcement while other processes create and delete its repository. */
const MAX_TRIES = 20

export async function insertPendingPush(db: Database, push: NewPendingPush): Promise<string | undefined> {
  const { id } = await retryInsert(push.repository, () => insertOnce(db, push))
  return id ?? undefined
}

/**
 * Stores a push of an immutable tag as `insertPendingPush` does, unless the tag names another manifest. If the tag does
 * not exist yet, a pending push of the tag counts instead. A lock on the tag makes concurrent pushes of it wait for
 * each other, so the second one sees the rows of the first one.
 */
export async function insertImmutable(
  db: Database,
  push: NewPendingPush & { readonly tag: string },
): Promise<{ readonly id: string | undefined } | { readonly taken: string }> {
  const { repository, tag, manifest } = push
  // Migration 2026-12-09-f-cheaper-pushes.
  const taken = sql`reserve_tag(${repository}, ${tag}, ${manifest.digest})`
  const stored = await retryInsert(repository, () => insertOnce(db, push, taken))
  return stored.taken === null ? { id: stored.id ?? undefined } : { taken: stored.taken }
}

/** Repeats an insert that stored nothing, unless the tag is taken or the repository is being deleted. */
async function retryInsert(repository: string, insert: () => Promise<Inserted>): Promise<Inserted> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const inserted = await insert()
    if (inserted.id !== null || inserted.isBeingDeleted || inserted.taken !== null) return inserted
  }
  throw new Error(
    `the repository ${repository} was created or deleted during each of ${MAX_TRIES} announcements of a push`,
  )
}

interface Inserted {
  readonly id: string | null
  readonly isBeingDeleted: boolean
  /** The digest that the tag names instead. */
  readonly taken: string | null
}

/**
 * Stores a push in one statement, with the context of the current request and the digest that the tag has now. `id` is
 * null if the tag is taken, or if the repository is being deleted, or was created or deleted by another process since
 * the statement began. `taken`: a query of the digest that takes the tag; it runs first, because it may wait.
 * Locks the repository before its manifest: the foreign key would lock it afterwards, and deletions lock in this order.
 */
async function insertOnce(
  db: Database,
  { repository, tag, manifest }: NewPendingPush,
  taken: RawBuilder<unknown> = sql`null::text`,
): Promise<Inserted> {
  const { raw, annotations, ...facts } = manifest
  const { digest, mediaType, artifactType = null, subject = null, references, size } = facts
  const ofReferences = (value: (one: ManifestReference) => unknown) => sql.val(references.map(value))
  const digests = [...new Set(references.map((one) => one.digest))]
  const statement = sql<Inserted>`
    with taken as materialized (
      select ${taken} as digest
    ), known as (
      select id, deleting_since is not null as deleting from all_repositories
      where (select digest from taken) is null and name = ${repository}
      for key share
    ), created as (
      insert into all_repositories (name, pending) select ${repository}, true
      where (select digest from taken) is null and not exists (select from known)
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
    select (select id from pending), coalesce((select deleting from known), false) as "isBeingDeleted",
      (select digest from taken) as taken`
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

const NOT_STORED: Inserted = { id: null, isBeingDeleted: false, taken: null }
