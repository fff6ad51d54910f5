import type { Database } from '@registry-manager/database'
import { anyOf, inTransaction, isForeignKeyViolation } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import type { RequestPrincipal } from '@registry-manager/http'
import { sql } from 'kysely'
import { recordPushIn } from '../events-repository.ts'
import type { PageRequest } from './repository.ts'
import type { TagState } from './sync-tag.ts'
import { byActor } from './tag-actor-repository.ts'

/**
 * The revision of a row of `tags` or `manifests` as text. It changes with every write and never repeats. A row that was
 * written before the column `revision_id` existed has the negative value of the previous column.
 */
export function revisionOf(table: 'tags' | 'manifests') {
  const [id, previous] = [sql.ref(`${table}.revision_id`), sql.ref(`${table}.revision`)]
  return sql<string>`coalesce(${id}, -${previous})::text`
}

/** The tags of the index. A tag is changed by compare-and-set on its revision. */
export function createTagsRepository(db: Database) {
  const findId = async (name: string) =>
    (await db.selectFrom('repositories').select('id').where('name', '=', name).executeTakeFirst())?.id
  const statesIn = (repository: string) =>
    db
      .selectFrom('tags')
      .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
      .innerJoin('manifests', (join) =>
        join
          .onRef('manifests.repository_id', '=', 'tags.repository_id')
          .onRef('manifests.digest', '=', 'tags.digest'),
      )
      .select(['tags.digest', revisionOf('tags').as('revision')])
      .select(sql<boolean>`manifests.state = 'index-only'`.as('indexOnly'))
      .where('repositories.name', '=', repository)

  return {
    /** Read this before the registry, so that a change in between shows in the revision. */
    async findTag(repository: string, tag: string): Promise<TagState> {
      const row = await statesIn(repository).where('tags.name', '=', tag).executeTakeFirst()
      return row ?? { digest: undefined, revision: undefined, indexOnly: false }
    },

    /** The given tags that exist, by name. Read this before the registry, like a single tag. */
    async findTags(repository: string, names: readonly string[]): Promise<ReadonlyMap<string, TagState>> {
      const rows = await statesIn(repository)
        .select('tags.name')
        .where('tags.name', '=', anyOf(names))
        .execute()
      return new Map(rows.map(({ name, ...state }) => [name, state]))
    },

    /**
     * Points a tag at a digest, or removes the tag, if the tag is still at that revision and the manifest still exists.
     * Records the events of that change with it. Returns whether the tag is now as requested.
     */
    async setTag(
      repository: string,
      tag: string,
      digest: string | undefined,
      revision: string | undefined,
      events: readonly NewEvent[] = [],
    ): Promise<boolean> {
      const repositoryId = await findId(repository)
      if (repositoryId === undefined) return digest === undefined
      if (events.length === 0) return changeTag(db, { repositoryId, tag, digest, revision })
      return inTransaction(db, async (tx) => {
        const isSet = await changeTag(tx, { repositoryId, tag, digest, revision })
        if (isSet) await recordPushIn(tx, events)
        return isSet
      })
    },

    /** The names of the tags that point at a manifest. */
    async listTagsOf(repository: string, digest: string): Promise<string[]> {
      const rows = await db
        .selectFrom('tags')
        .innerJoin('repositories', 'repositories.id', 'tags.repository_id')
        .select('tags.name')
        .where('repositories.name', '=', repository)
        .where('digest', '=', digest)
        .execute()
      return rows.map(({ name }) => name)
    },

    async listTags(repositoryId: string, { limit, after }: PageRequest): Promise<string[]> {
      const rows = await db
        .selectFrom('tags')
        .select('name')
        .where('repository_id', '=', repositoryId)
        .where('name', '>', after)
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(({ name }) => name)
    },
  }
}

interface TagChange {
  readonly repositoryId: string
  readonly tag: string
  readonly digest: string | undefined
  /** Undefined if the tag does not exist. */
  readonly revision: string | undefined
}

async function changeTag(db: Database, { digest, ...change }: TagChange): Promise<boolean> {
  if (digest !== undefined) return putTag(db, { ...change, digest }).catch(falseIfManifestIsGone)
  const { repositoryId, tag, revision } = change
  if (revision === undefined) return true
  const { numDeletedRows } = await db
    .deleteFrom('tags')
    .where('repository_id', '=', repositoryId)
    .where('name', '=', tag)
    .where(revisionOf('tags'), '=', revision)
    .where(byActor())
    .executeTakeFirstOrThrow()
  return numDeletedRows === 1n
}

/**
 * Points a tag at a manifest that is not pending, if the tag is still at a revision; undefined: if it does not exist.
 * Returns whether the tag was set. `principal`: the principal of the change, if it is not that of the current request.
 * Throws if the manifest is removed at the same time (a failed foreign key).
 */
export async function putTag(
  db: Database,
  { repositoryId, tag: name, digest, revision }: TagChange & { readonly digest: string },
  principal?: RequestPrincipal | null,
): Promise<boolean> {
  const manifest = sql`from manifests where repository_id = ${repositoryId} and digest = ${digest}`
  const { rows } =
    revision === undefined
      ? await sql`
          insert into tags (repository_id, name, digest) select repository_id, ${name}, digest ${manifest}
            and ${byActor(principal)}
          on conflict (repository_id, name) do nothing returning name`.execute(db)
      : await sql`
          update tags set digest = ${digest}, revision_id = nextval('revision_ids'), updated_at = now()
          where repository_id = ${repositoryId} and name = ${name} and ${revisionOf('tags')} = ${revision}
            and exists (select ${manifest}) and ${byActor(principal)}
          returning name`.execute(db)
  return rows.length === 1
}

function falseIfManifestIsGone(error: unknown): false {
  if (isForeignKeyViolation(error)) return false
  throw error
}
