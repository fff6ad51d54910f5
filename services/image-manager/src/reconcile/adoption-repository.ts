import type { Database } from '@registry-manager/database'
import { isForeignKeyViolation } from '@registry-manager/database'
import { sql } from 'kysely'
import { byActor } from '../index/tag-actor-repository.ts'
import type { Adoption, FoundTag } from './adopt-tag.ts'

/** Records content that reconcile finds in the registry and the index does not have. */
export function createAdoptionRepository(db: Database) {
  return {
    /**
     * Records tags that the index does not have, with their manifests and, if they are new, the references of these and
     * the repositories: one statement of a fixed number of parameters, and therefore all tags or none. Changes no tag
     * and no manifest that is recorded. Returns one result for each tag, in their order.
     */
    async adoptTags(found: readonly FoundTag[]): Promise<Adoption[]> {
      const manifests = new Map(found.map((one) => [keyOf(one.repository, one.manifest.digest), one]))
      const tags = found.map(({ repository, tag, manifest: { digest } }) => ({ repository, tag, digest }))
      // Each transaction locks repositories first, then manifests and tags. Sorted, so that two calls at the same time
      // do not wait for each other.
      const statement = sql<{ recorded: string[]; tagged: string[] }>`
        with given as (
          select * from json_to_recordset(${toRows([...manifests.values()])}::json) as given (
            repository text, digest text, media_type text, artifact_type text, subject text, annotations jsonb,
            size bigint, position integer, named json)
        ), repository as (
          insert into all_repositories (name) select distinct repository collate "C" from given order by 1
          on conflict (name) do update set updated_at = now(), pending = false
          returning id, name
        ), recorded as (
          insert into all_manifests (
            repository_id, digest, media_type, artifact_type, subject, annotations, raw, size, state)
          select id, digest, media_type, artifact_type, subject, annotations,
            substring(${Buffer.concat([...manifests.values()].map((one) => one.manifest.raw))}::bytea
              from position for size::integer), size, 'recorded'
          from given join repository on name = given.repository
          order by name, digest collate "C"
          on conflict (repository_id, digest) do update
            set state = 'recorded', revision_id = nextval('revision_ids') where all_manifests.state = 'pending'
          returning repository_id, digest
        ), referenced as (
          insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
          select id, recorded.digest, one.digest, one.kind, one.size
          from recorded join repository on id = repository_id
          join given on given.repository = name and given.digest = recorded.digest
          cross join json_to_recordset(named) as one (digest text, kind text, size bigint)
          on conflict do nothing
        ), tagged as (
          insert into tags (repository_id, name, digest)
          select id, tag, digest
          from json_to_recordset(${JSON.stringify(tags)}::json) as one (repository text, tag text, digest text)
          join repository on name = one.repository
          where ${byActor()}
          order by repository.name, tag collate "C"
          on conflict (repository_id, name) do nothing returning repository_id, name
        )
        select array(
            select name || ' ' || digest from recorded join repository on id = repository_id) as recorded, array(
            select repository.name || ' ' || tagged.name from tagged join repository on id = repository_id) as tagged`
      try {
        const { rows } = await statement.execute(db)
        return toAdoptions(found, new Set(rows[0]?.recorded), new Set(rows[0]?.tagged))
      } catch (error) {
        // The index had the manifest, and another process removes it at this moment. Nothing was written.
        if (found.length === 1 && isForeignKeyViolation(error)) return [NOT_ADOPTED]
        throw error
      }
    },

    /**
     * The number of deletions. It changes with each deletion, after the deletion has changed the registry and before it
     * reads the index.
     */
    async countDeletions(): Promise<string> {
      const { rows } = await sql<{ deletions: string }>`select ${DELETIONS} as deletions`.execute(db)
      return rows[0]?.deletions ?? ''
    },
  }
}

const NOT_ADOPTED: Adoption = { isNew: false, isTagged: false }

/** Null until the first deletion. */
export const DELETIONS = sql<string>`coalesce(pg_sequence_last_value('registry_deletions'), 0)::text`

/** Names of repositories, tags and digests have no blanks. */
function keyOf(repository: string, tagOrDigest: string): string {
  return `${repository} ${tagOrDigest}`
}

/** The manifests as JSON, with the position of the bytes of each one in the bytes of all of them. */
function toRows(found: readonly FoundTag[]): string {
  let position = 1
  const rows = found.map(({ repository, manifest }) => {
    const { digest, mediaType, artifactType, subject, annotations, raw, size, references } = manifest
    const names = { media_type: mediaType, artifact_type: artifactType }
    const named = references.map((one) => ({ digest: one.digest, kind: one.kind, size: one.size }))
    const row = { repository, digest, ...names, subject, annotations, size, position, named }
    position += raw.length
    return row
  })
  return JSON.stringify(rows)
}

/** A manifest is new for the first of its tags. */
function toAdoptions(
  found: readonly FoundTag[],
  recorded: Set<string>,
  tagged: ReadonlySet<string>,
): Adoption[] {
  return found.map(({ repository, tag, manifest }) => ({
    isNew: recorded.delete(keyOf(repository, manifest.digest)),
    isTagged: tagged.has(keyOf(repository, tag)),
  }))
}
