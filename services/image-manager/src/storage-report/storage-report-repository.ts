import type { Database } from '@registry-manager/database'
import { RESERVED_COMPONENT } from '@registry-manager/oci'
import { sql } from 'kysely'
import type { Amount } from '../collection/status.ts'
import type { NamespaceSize, RepositorySize, StorageReport } from './storage-report.ts'

const TRASH = `${RESERVED_COMPONENT}/`
/** The first name after those of the trash: `0` follows `/` in byte order. */
const AFTER_TRASH = `${RESERVED_COMPONENT}0`
const isTrash = sql`(name >= ${TRASH} and name < ${AFTER_TRASH})`

/** Sizes of namespaces and repositories. All numbers as double: pg reads bigint and numeric as strings. */
export function createStorageReportRepository(db: Database) {
  return {
    async countAll(): Promise<Pick<StorageReport, 'namespaces' | 'repositories'>> {
      const { rows } = await sql<Pick<StorageReport, 'namespaces' | 'repositories'>>`
        select (select count(*) from namespace_usage where repositories > 0
            and namespace <> ${RESERVED_COMPONENT})::float8 as namespaces,
          (select count(*) from repositories where not ${isTrash})::float8 as repositories`.execute(db)
      return rows[0] ?? { namespaces: 0, repositories: 0 }
    },

    async sumTrash(): Promise<Amount> {
      let [blobs, bytes] = [0, 0]
      for (let after: string | null = ''; after !== null;) {
        const page: TrashPage = await sumTrashPage(db, after)
        blobs += page.blobs
        bytes += page.bytes
        after = page.last
      }
      return { blobs, bytes }
    },

    async listNamespaces(after: string, limit: number): Promise<NamespaceSize[]> {
      const { rows } = await sql<NamespaceSize>`
        select namespace, bytes::float8 as bytes, repositories::float8 as repositories from namespace_usage
        where namespace > ${after} and namespace <> ${RESERVED_COMPONENT} and repositories > 0
        order by namespace limit ${limit}`.execute(db)
      return rows
    },

    async listRepositories(after: string, limit: number): Promise<{ id: string; name: string }[]> {
      const { rows } = await sql<{ id: string; name: string }>`
        select id, name from repositories where name > ${after} and not ${isTrash} order by name limit ${limit}`.execute(
        db,
      )
      return rows
    },

    async measureRepository(id: string, name: string): Promise<Omit<RepositorySize, 'repository'>> {
      const { rows } = await sql<{ manifests: number }>`
        select count(*)::float8 as manifests from manifests where repository_id = ${id}`.execute(db)
      let [bytes, frees] = [0, 0]
      for (let after: string | null = ''; after !== null;) {
        const page: RepositoryPage = await measurePage(db, { id, name, after })
        bytes += page.bytes
        frees += page.frees
        after = page.last
      }
      return { manifests: rows[0]?.manifests ?? 0, bytes, frees }
    },
  }
}

/** Number of digests that one statement sums. */
const PAGE_SIZE = 5000

interface TrashPage extends Amount {
  readonly last: string | null
}

/**
 * Sums the data that only the trash names. The digests come from the counts of its namespace, which have each digest
 * once.
 */
async function sumTrashPage(db: Database, after: string): Promise<TrashPage> {
  const { rows } = await sql<TrashPage>`
    with trashed as materialized (
      select id from all_repositories where ${isTrash}
    ), page as materialized (
      select digest, max(size) as size from namespace_blobs
      where namespace = ${RESERVED_COMPONENT} and digest > ${after}
      group by digest order by digest limit ${PAGE_SIZE}
    ), own as (
      select digest, size from page
      where not exists (
          select from all_manifests where digest = page.digest and repository_id not in (select id from trashed))
        and not exists (
          select from manifest_references
          where digest = page.digest and repository_id not in (select id from trashed))
        and not exists (
          select from repository_blobs where digest = page.digest
            and not (repository >= ${TRASH} and repository < ${AFTER_TRASH}))
    )
    select (select max(digest) from page) as last, count(*)::float8 as blobs,
      coalesce(sum(size), 0)::float8 as bytes from own`.execute(db)
  return rows[0] ?? { last: null, blobs: 0, bytes: 0 }
}

interface RepositoryPage {
  readonly last: string | null
  readonly bytes: number
  readonly frees: number
}

/**
 * A blob that another repository has frees nothing, whether a manifest there references it or not. An index-only
 * manifest is not in the storage. The page ends at the last digest that both of its parts contain.
 */
async function measurePage(
  db: Database,
  { id, name, after }: { readonly id: string; readonly name: string; readonly after: string },
): Promise<RepositoryPage> {
  const { rows } = await sql<RepositoryPage>`
    with own as materialized (
      select digest, size, state <> 'index-only' as is_stored from all_manifests
      where repository_id = ${id} and digest > ${after} order by digest limit ${PAGE_SIZE}
    ), referenced as materialized (
      select digest, max(size) as size from manifest_references
      where repository_id = ${id} and kind <> 'manifest' and digest > ${after}
      group by digest order by digest limit ${PAGE_SIZE}
    ), bound as materialized (
      select least(
        (select max(digest) from own having count(*) = ${PAGE_SIZE}),
        (select max(digest) from referenced having count(*) = ${PAGE_SIZE})) as digest
    ), used as materialized (
      select named.digest, coalesce(max(size), 0) as size, bool_or(is_stored) as is_stored
      from (select * from own union all select digest, size, true from referenced) named, bound
      where bound.digest is null or named.digest <= bound.digest
      group by named.digest
    )
    select (select digest from bound) as last, coalesce(sum(size), 0)::float8 as bytes,
      coalesce(sum(size) filter (where is_stored and not (
        exists (select from manifest_references where digest = used.digest and repository_id <> ${id})
        or exists (select from all_manifests where digest = used.digest and repository_id <> ${id})
        or exists (select from repository_blobs where digest = used.digest and repository <> ${name})
      )), 0)::float8 as frees
    from used`.execute(db)
  return rows[0] ?? { last: null, bytes: 0, frees: 0 }
}
