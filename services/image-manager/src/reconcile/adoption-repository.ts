import type { Database } from '@registry-manager/database'
import { isForeignKeyViolation } from '@registry-manager/database'
import { sql } from 'kysely'
import type { Manifest } from '../index/manifest.ts'
import type { Adoption } from './adopt-tag.ts'

/** Writes what reconcile finds in the registry and the index does not have. */
export function createAdoptionRepository(db: Database) {
  return {
    /**
     * Records a tag that the index does not have, with its manifest and, if they are new, its references and its
     * repository: one statement of a fixed number of parameters. Changes no tag and no manifest that is recorded.
     */
    async adoptTag(repository: string, tag: string, manifest: Manifest): Promise<Adoption> {
      const { digest, mediaType, artifactType, subject, annotations, raw, size, references } = manifest
      // The repository is locked first, then its manifest and its tag, as in every transaction.
      const statement = sql<Adoption>`
        with repository as (
          insert into all_repositories (name) values (${repository})
          on conflict (name) do update set updated_at = now(), pending = false
          returning id
        ), recorded as (
          insert into all_manifests (
            repository_id, digest, media_type, artifact_type, subject, annotations, raw, size, state)
          select id, ${digest}, ${mediaType}, ${artifactType ?? null}, ${subject ?? null},
            ${annotations === undefined ? null : JSON.stringify(annotations)}::jsonb, ${raw}::bytea, ${size}::bigint,
            'recorded'
          from repository
          on conflict (repository_id, digest) do update
            set state = 'recorded', revision_id = nextval('revision_ids') where all_manifests.state = 'pending'
          returning repository_id
        ), referenced as (
          insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
          select repository_id, ${digest}, named.digest, named.kind, named.size
          from recorded cross join unnest(
            ${sql.val(references.map((one) => one.digest))}::text[],
            ${sql.val(references.map(({ kind }) => kind))}::text[],
            ${sql.val(references.map(({ size }) => size))}::bigint[]
          ) as named (digest, kind, size)
          on conflict do nothing
        ), tagged as (
          insert into tags (repository_id, name, digest) select id, ${tag}, ${digest} from repository
          on conflict (repository_id, name) do nothing returning name
        )
        select exists (select from recorded) as "isNew", exists (select from tagged) as "isTagged"`
      try {
        const { rows } = await statement.execute(db)
        return rows[0] ?? NOT_ADOPTED
      } catch (error) {
        // The index had the manifest, and another process removes it at this moment. Nothing was written.
        if (isForeignKeyViolation(error)) return NOT_ADOPTED
        throw error
      }
    },

    /**
     * The number of deletions: a text that changes with each one, after it has changed the registry and before it reads
     * the index.
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
