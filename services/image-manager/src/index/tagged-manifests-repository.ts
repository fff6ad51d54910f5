import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'

interface TagRow {
  readonly repositoryId: string
  readonly name: string
  readonly digest: string
  /** The size of the manifest, in bytes. */
  readonly size: number
}

interface ManifestRow {
  readonly repositoryId: string
  readonly digest: string
  readonly text: string | null
  readonly bytes: Buffer | null
}

/** A tag with its manifest as it was pushed, decoded as UTF-8. */
export interface TaggedManifest {
  readonly repositoryId: string
  readonly name: string
  readonly manifest: string
}

/** The limits of one statement, so that memory does not grow with the list. */
const [REPOSITORIES, TAGS, BYTES] = [100, 2000, 256 * 1024]

export function createTaggedManifestsRepository(db: Database) {
  /** Starts after a tag of the first repository. The tags of a repository are a range of the primary key. */
  const listTags = async (repositoryIds: readonly string[], after: string): Promise<TagRow[]> => {
    const { rows } = await sql<TagRow>`
      select wanted.id as "repositoryId", tag.name, tag.digest, length(manifests.raw) as size
      from unnest(${sql.val([...repositoryIds])}::uuid[]) with ordinality as wanted (id, position)
      cross join lateral (
        select name, digest from tags
        where repository_id = wanted.id and name > case wanted.position when 1 then ${after} else '' end
        order by name limit ${TAGS}
      ) tag
      join manifests on manifests.repository_id = wanted.id and manifests.digest = tag.digest
      order by wanted.position, tag.name limit ${TAGS}`.execute(db)
    return rows
  }

  /** Leaves out tags whose manifest has been deleted since. */
  const readManifests = async (tags: readonly TagRow[]): Promise<TaggedManifest[]> => {
    const wanted = [...new Map(tags.map((tag) => [keyOf(tag), tag])).values()]
    // Postgres sends bytes in hex, which doubles them. A manifest of plain ASCII without backslashes is sent as text.
    // "offset 0" keeps Postgres from evaluating the escaped text more than once.
    const { rows } = await sql<ManifestRow>`
      select repository_id as "repositoryId", manifests.digest,
        case when length(escaped) = length(raw) then escaped end as text,
        case when length(escaped) > length(raw) then raw end as bytes
      from unnest(
        ${sql.val(wanted.map(({ repositoryId }) => repositoryId))}::uuid[],
        ${sql.val(wanted.map(({ digest }) => digest))}::text[]
      ) as wanted (id, digest)
      join manifests on manifests.repository_id = wanted.id and manifests.digest = wanted.digest
      cross join lateral (select encode(raw, 'escape') as escaped offset 0) once`.execute(db)
    const manifests = new Map(
      rows.map((row) => [keyOf(row), row.text ?? Buffer.from(row.bytes ?? []).toString('utf8')]),
    )
    return tags.flatMap((tag) => {
      const manifest = manifests.get(keyOf(tag))
      return manifest === undefined ? [] : [{ repositoryId: tag.repositoryId, name: tag.name, manifest }]
    })
  }

  return {
    /**
     * The tags of some repositories with their manifests, in the order of the repositories and then by name, in
     * portions. Each portion is read when the caller requests it.
     */
    async *readTaggedManifests(repositoryIds: readonly string[]): AsyncGenerator<TaggedManifest[]> {
      let [at, after, width] = [0, '', REPOSITORIES]
      while (at < repositoryIds.length) {
        const ids = repositoryIds.slice(at, at + width)
        const tags = await listTags(ids, after)
        for (const some of portion(tags)) yield await readManifests(some)
        const last = tags.length === TAGS ? tags.at(-1) : undefined
        const done = last === undefined ? ids.length : ids.indexOf(last.repositoryId)
        // Read fewer repositories at once if they have many tags: rows beyond the limit are wasted work.
        width = last === undefined ? Math.min(2 * width, REPOSITORIES) : done + 1
        at += done
        after = last?.name ?? ''
      }
    },
  }
}

/** Cuts a list of tags into portions whose manifests have at most BYTES together, or which have one tag. */
function* portion(tags: readonly TagRow[]): Generator<TagRow[]> {
  let [some, bytes]: [TagRow[], number] = [[], 0]
  for (const tag of tags) {
    if (some.length > 0 && bytes + tag.size > BYTES) {
      yield some
      ;[some, bytes] = [[], 0]
    }
    some.push(tag)
    bytes += tag.size
  }
  if (some.length > 0) yield some
}

function keyOf({ repositoryId, digest }: Pick<TagRow, 'repositoryId' | 'digest'>): string {
  return `${repositoryId} ${digest}`
}
