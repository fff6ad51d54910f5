import type { Database } from '@registry-manager/database'
import type { RepositoryAction } from '@registry-manager/oci'
import type { Conditions } from '@registry-manager/principal'
import { sql } from 'kysely'
import type { PlannedGrant, StoredGrant, Subject, SubjectKind } from './grant.ts'
import type { KeysetPage } from './page.ts'

/** Rows of one statement: Postgres allows 65,535 parameters. */
const BATCH = 1000

/** Queries of grants. Names to search for are in lower case. */
export function createGrantsRepository(db: Database) {
  const grants = db
    .selectFrom('grants')
    .leftJoin('accounts', 'accounts.id', 'grants.account_id')
    .leftJoin('registry_tokens', 'registry_tokens.account_id', 'grants.account_id')
    .leftJoin('groups', 'groups.id', 'grants.group_id')
    .select(['grants.id', 'repositories', 'grants.role', 'actions', 'grants.conditions', 'grants.created_by'])
    .select(['grants.created_at', 'accounts.kind', 'grants.account_id', 'grants.group_id'])
    .select((eb) =>
      eb.fn.coalesce('registry_tokens.name', 'accounts.username', 'groups.name').as('subject_name'),
    )
    .orderBy('grants.id')
  type Row = Awaited<ReturnType<typeof grants.executeTakeFirstOrThrow>>

  return {
    /** Serializes the changes of a namespace until the transaction ends. */
    async lockNamespace(namespace: string): Promise<void> {
      await sql`select pg_advisory_xact_lock(hashtextextended(${`grants of ${namespace}`}, 0))`.execute(db)
    },

    async listGrants(namespace: string, { after, limit }: Partial<KeysetPage> = {}): Promise<StoredGrant[]> {
      const rows = await grants
        .where('namespace', '=', namespace)
        .$if(after !== undefined, (query) => query.where('grants.id', '>', after ?? ''))
        .$if(limit !== undefined, (query) => query.limit(limit ?? 0))
        .execute()
      return rows.map(toGrant)
    },

    async findGrant(namespace: string, id: string): Promise<StoredGrant | undefined> {
      const row = await grants
        .where('namespace', '=', namespace)
        .where('grants.id', '=', id)
        .executeTakeFirst()
      return row && toGrant(row)
    },

    async insertGrants(
      namespace: string,
      planned: readonly PlannedGrant[],
      createdBy: string,
    ): Promise<StoredGrant[]> {
      const inserted: StoredGrant[] = []
      for (let at = 0; at < planned.length; at += BATCH) {
        const batch = planned.slice(at, at + BATCH)
        const rows = await db
          .insertInto('grants')
          .values(batch.map((grant) => ({ namespace, created_by: createdBy, ...toColumns(grant) })))
          .returning(['id', 'created_at'])
          .execute()
        // Postgres returns the rows in the order of the values.
        rows.forEach((row, index) => {
          const grant = batch[index]
          if (grant !== undefined)
            inserted.push({ ...grant, id: row.id, createdAt: row.created_at, createdBy })
        })
      }
      return inserted
    },

    async deleteGrants(ids: readonly string[]): Promise<void> {
      await db
        .deleteFrom('grants')
        .where(sql<boolean>`id = any(${sql.val(ids)}::uuid[])`)
        .execute()
    },

    /** The ids of the subjects that exist, by their names. Names of registry tokens are compared in lower case. */
    async findSubjects(kind: SubjectKind, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
      const wanted = sql`any(${sql.val(names)}::text[])`
      const rows =
        kind === 'group'
          ? await db
              .selectFrom('groups')
              .select(['id', 'name'])
              .where(sql<boolean>`name = ${wanted}`)
              .execute()
          : await db
              .selectFrom('accounts')
              .select(['id', 'username as name'])
              .where('kind', '=', kind === 'user' ? 'user' : 'token')
              .where(sql<boolean>`username = ${wanted}`)
              .execute()
      return new Map(rows.map(({ id, name }) => [name, id]))
    },

    /** Namespaces that a user or a grant names, in byte order. */
    async listNamespaces({ after = '', limit }: KeysetPage): Promise<string[]> {
      const { rows } = await sql<{ name: string }>`
        select name from (
          select unnest(namespaces || directory_namespaces) collate "C" as name from accounts
          union select namespace from grants where namespace <> '*'
        ) known
        where name > ${after} order by name limit ${limit}`.execute(db)
      return rows.map(({ name }) => name)
    },
  }

  function toGrant(row: Row): StoredGrant {
    const { id, repositories, role, actions, conditions, created_at: createdAt, created_by: createdBy } = row
    return {
      id,
      subject: { kind: kindOf(row), name: row.subject_name ?? '', id: row.account_id ?? row.group_id ?? '' },
      repositories,
      ...(role !== null && { role }),
      actions: actions as RepositoryAction[],
      ...(conditions !== null && { conditions: conditions as Conditions }),
      createdAt,
      createdBy,
    }
  }
}

function kindOf({
  group_id,
  kind,
}: {
  group_id: string | null
  kind: 'user' | 'token' | null
}): Subject['kind'] {
  if (group_id !== null) return 'group'
  return kind === 'token' ? 'registry-token' : 'user'
}

function toColumns({ subject, repositories, role, actions, conditions }: PlannedGrant) {
  return {
    [subject.kind === 'group' ? 'group_id' : 'account_id']: subject.id,
    repositories,
    role: role ?? null,
    actions: [...actions],
    conditions: conditions === undefined ? null : JSON.stringify(conditions),
  }
}
