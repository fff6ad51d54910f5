import type { Database } from '@registry-manager/database'
import { anyOf } from '@registry-manager/database'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { revisionOf } from '../index/tags-repository.ts'
import type { CandidateManifest, CandidateTag, ExaminedRepository } from './examination.ts'

/** The digest in the name of a tag that refers to a manifest, as a POSIX regular expression. */
const SUBJECT_TAG = '^sha256-[0-9a-f]{64}'

/**
 * The time since which pulls are counted (the installation of this version, or the restore of a backup); null for newer
 * content. Retention treats it as the last pull of older content, which may have been pulled shortly before.
 */
const pullsKnownSince = (time: RawBuilder<unknown>) =>
  sql`(select began_at from collection where began_at > ${time})`

/** Maximum number of referrers of one subject that are deleted with it; the next run deletes the others. */
const REFERRERS = 1000

/** Reads tags and manifests for decisions of retention. */
export function createCandidatesRepository(db: Database) {
  const readTags = async (condition: RawBuilder<unknown>, limit: number) => {
    const { rows } = await sql<CandidateTag>`
      select name, tags.digest, updated_at as "pushedAt",
        greatest(tag_pulls.last_pulled_at, manifest_pulls.last_pulled_at, ${pullsKnownSince(sql`updated_at`)})
          as "pulledAt",
        (
          select found.digest from manifests as found where found.repository_id = tags.repository_id
            and found.digest = replace(substring(name from ${SUBJECT_TAG}), '-', ':')
        ) as subject,
        ${revisionOf('tags')} as revision, exists (
          select from pending_pushes join repositories on repositories.name = repository
          where repositories.id = tags.repository_id and tag = tags.name
        ) as "isPending"
      from tags
      left join tag_pulls on tag_pulls.repository_id = tags.repository_id and tag_pulls.tag = tags.name
      left join manifest_pulls
        on manifest_pulls.repository_id = tags.repository_id and manifest_pulls.digest = tags.digest
      where ${condition} order by name limit ${limit}`.execute(db)
    return rows
  }
  const readManifests = async (condition: RawBuilder<unknown>, limit: number) => {
    const { rows } = await sql<CandidateManifest>`
      select manifest.digest, manifest.sha512, coalesce(manifest.revision_id, -manifest.revision)::text as revision,
        exists (
          select from pending_pushes join repositories on repositories.name = repository
          where repositories.id = manifest.repository_id
            and (pending_pushes.digest = manifest.digest or digests && array[manifest.digest, manifest.sha512])
        ) as "isPending",
        exists (
          select from tags where tags.repository_id = manifest.repository_id and tags.digest = manifest.digest
        ) as "isTagged",
        greatest(pushed_at, last_pulled_at, ${pullsKnownSince(sql`pushed_at`)}, (
          select max(ended_at) from tag_history as history
          where history.repository_id = manifest.repository_id and history.digest = manifest.digest
        )) as "usedAt",
        (
          select manifest_digest from manifest_references as reference
          where reference.repository_id = manifest.repository_id and reference.kind = 'manifest'
            and reference.digest in (manifest.digest, manifest.sha512) limit 1
        ) as index,
        (
          select found.digest from all_manifests as found
          where found.repository_id = manifest.repository_id
            and (found.digest = manifest.subject or found.sha512 = manifest.subject) limit 1
        ) as subject
      from manifests as manifest
      left join manifest_pulls
        on manifest_pulls.repository_id = manifest.repository_id and manifest_pulls.digest = manifest.digest
      where ${condition} order by manifest.digest limit ${limit}`.execute(db)
    return rows
  }

  return {
    listTags: (repositoryId: string, after: string, limit: number) =>
      readTags(sql`tags.repository_id = ${repositoryId} and name > ${after}`, limit),

    async findTag(repositoryId: string, tag: string): Promise<CandidateTag | undefined> {
      return (await readTags(sql`tags.repository_id = ${repositoryId} and name = ${tag}`, 1))[0]
    },

    listManifests: (repositoryId: string, after: string, limit: number) =>
      readManifests(sql`manifest.repository_id = ${repositoryId} and manifest.digest > ${after}`, limit),

    async findManifest(repositoryId: string, digest: string): Promise<CandidateManifest | undefined> {
      const isIt = sql`manifest.repository_id = ${repositoryId} and manifest.digest = ${digest}`
      return (await readManifests(isIt, 1))[0]
    },

    async listUntaggedReferrers(repositoryId: string, subjects: readonly string[]): Promise<string[]> {
      const { rows } = await sql<{ digest: string }>`
        select digest from manifests as manifest
        where repository_id = ${repositoryId} and subject = ${anyOf(subjects)}
          and not exists (
            select from tags where tags.repository_id = manifest.repository_id and tags.digest = manifest.digest
          )
        order by digest limit ${REFERRERS}`.execute(db)
      return rows.map(({ digest }) => digest)
    },

    async listGoverned(after: string, limit: number): Promise<ExaminedRepository[]> {
      const { rows } = await sql<ExaminedRepository>`
        select id, name from repositories
        where deleting_since is null and name > ${after} and exists (
          select from retention_rules
          where starts_with(name, namespace || '/') or (name = namespace and strpos(name, '/') > 0))
        order by name limit ${limit}`.execute(db)
      return rows
    },

    /**
     * Without tags that refer to a manifest. Of two tags that were pushed at the same time, the first one by name
     * counts as the later one.
     */
    async listLastPushed(
      repositoryId: string,
      tags: string,
      except: readonly string[],
      limit: number,
    ): Promise<string[]> {
      const { rows } = await sql<{ name: string }>`
        select name from tags
        where repository_id = ${repositoryId} and name like ${likePattern(tags)}
          and not name like any(${sql.val(except.map(likePattern))}::text[])
          and name !~ ${SUBJECT_TAG}
        order by updated_at desc, name limit ${limit}`.execute(db)
      return rows.map(({ name }) => name)
    },

    /** Repositories of a namespace after a name, in byte order. */
    async listRepositories(namespace: string, after: string, limit: number): Promise<ExaminedRepository[]> {
      const { rows } = await sql<ExaminedRepository>`
        select id, name from repositories
        where deleting_since is null and name > ${after}
          and (name like ${`${escapeLike(namespace)}/%`} or (name = ${namespace} and name like '%/%'))
        order by name limit ${limit}`.execute(db)
      return rows
    },
  }
}

/** The pattern of SQL's `like` that matches the same tags as a tag pattern. */
function likePattern(pattern: string): string {
  return escapeLike(pattern).replaceAll('*', '%')
}

function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`)
}
