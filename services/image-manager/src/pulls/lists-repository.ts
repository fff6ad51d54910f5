import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import type { ListPage, ListedManifest, ListedTag } from './list-images.ts'

/** Reads pages of tags and manifests with their counts of pulls. */
export function createListsRepository(db: Database) {
  return {
    async listTags(repositoryId: string, { limit, after }: ListPage): Promise<ListedTag[]> {
      const { rows } = await sql<ListedTag>`
        select name, digest, updated_at as "pushedAt", coalesce(pulls, 0)::double precision as pulls,
          last_pulled_at as "lastPulledAt"
        from tags left join tag_pulls on tag_pulls.repository_id = tags.repository_id and tag_pulls.tag = tags.name
        where tags.repository_id = ${repositoryId} and name > ${after}
        order by name limit ${limit}`.execute(db)
      return rows
    },

    async listManifests(repositoryId: string, { limit, after }: ListPage): Promise<ListedManifest[]> {
      const { rows } = await sql<ListedManifest>`
        select manifests.digest, media_type as "mediaType", artifact_type as "artifactType", subject,
          length(raw) as size, pushed_at as "pushedAt", coalesce(pulls, 0)::double precision as pulls,
          last_pulled_at as "lastPulledAt", array(
            select tags.name from tags
            where tags.repository_id = manifests.repository_id and tags.digest = manifests.digest order by tags.name
          )::text[] as tags
        from manifests left join manifest_pulls
          on manifest_pulls.repository_id = manifests.repository_id and manifest_pulls.digest = manifests.digest
        where manifests.repository_id = ${repositoryId} and manifests.digest > ${after}
        order by manifests.digest limit ${limit}`.execute(db)
      return rows
    },
  }
}
