import type { Database, TrustRulesTable } from '@registry-manager/database'
import type { Conditions } from '@registry-manager/principal'
import type { JSONWebKeySet } from 'jose'
import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { RulesQuery } from './manage-trust-rules.ts'
import type { TrustRule, TrustRuleFields } from './trust-rule.ts'

/** Trust rules in Postgres. */
export function createTrustRulesRepository(db: Database) {
  const rules = db.selectFrom('trust_rules').selectAll()
  const ofNamespace = (namespace: string) => rules.where('namespace', '=', namespace)
  // Byte order, in every database: names are ASCII.
  const name = sql<string>`name collate "C"`

  return {
    /** The rules for an issuer and any of some audiences, the oldest first. */
    async findByIssuer(issuer: string, audiences: readonly string[]): Promise<readonly TrustRule[]> {
      if (audiences.length === 0) return []
      const rows = await rules
        .where('issuer', '=', issuer)
        .where('audience', 'in', audiences)
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(toTrustRule)
    },

    async find(namespace: string, id: string): Promise<TrustRule | undefined> {
      const row = await ofNamespace(namespace).where('id', '=', id).executeTakeFirst()
      return row && toTrustRule(row)
    },

    /** The rule of a workload. */
    async findById(id: string): Promise<TrustRule | undefined> {
      const row = await rules.where('id', '=', id).executeTakeFirst()
      return row && toTrustRule(row)
    },

    async list({ namespace, after, limit }: RulesQuery): Promise<readonly TrustRule[]> {
      const page =
        after === undefined ? ofNamespace(namespace) : ofNamespace(namespace).where(name, '>', after)
      return (await page.orderBy(name).limit(limit).execute()).map(toTrustRule)
    },

    /** Rules of these namespaces that have a scope of one of these patterns, by `NAMESPACE/NAME`. */
    async listByScopes(
      {
        namespaces,
        patterns,
      }: { readonly namespaces: readonly string[]; readonly patterns: readonly string[] },
      { after = '', limit }: { readonly after?: string | undefined; readonly limit: number },
    ): Promise<readonly TrustRule[]> {
      const path = sql<string>`(namespace || '/' || name) collate "C"`
      const rows = await rules
        .where(sql<boolean>`namespace = any(${sql.val(namespaces)}::text[])`)
        .where(
          sql<boolean>`exists (
            select from jsonb_array_elements(scopes) scope
            where scope ->> 'name' = any(${sql.val(patterns)}::text[]))`,
        )
        .where(path, '>', after)
        .orderBy(path)
        .limit(limit)
        .execute()
      return rows.map(toTrustRule)
    },

    async count(namespace: string): Promise<number> {
      const counted = db.selectFrom('trust_rules').select((eb) => eb.fn.countAll().as('count'))
      const row = await counted.where('namespace', '=', namespace).executeTakeFirstOrThrow()
      return Number(row.count)
    },

    /** Locks the rows until the transaction ends, in the order of their ids. */
    async lock(namespace: string, id?: string): Promise<readonly TrustRule[]> {
      const locked = id === undefined ? ofNamespace(namespace) : ofNamespace(namespace).where('id', '=', id)
      return (await locked.orderBy('id').forUpdate().execute()).map(toTrustRule)
    },

    /** Throws a unique violation when the name is taken. */
    async insert(namespace: string, fields: TrustRuleFields, createdBy: string): Promise<TrustRule> {
      const row = { namespace, ...toColumns(fields), created_by: createdBy }
      return toTrustRule(
        await db.insertInto('trust_rules').values(row).returningAll().executeTakeFirstOrThrow(),
      )
    },

    /** Throws a unique violation when the name is taken. */
    async update(id: string, fields: TrustRuleFields, generation: number, at: Date): Promise<TrustRule> {
      const row = { ...toColumns(fields), generation, updated_at: at }
      return toTrustRule(
        await db
          .updateTable('trust_rules')
          .set(row)
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow(),
      )
    },

    async delete(id: string): Promise<void> {
      await db.deleteFrom('trust_rules').where('id', '=', id).execute()
    },
  }
}

function toColumns({ name, issuer, audience, claims, scopes, conditions = {}, jwks }: TrustRuleFields) {
  return {
    name,
    issuer,
    audience,
    claims: JSON.stringify(claims),
    scopes: JSON.stringify(scopes),
    conditions: JSON.stringify(conditions),
    jwks: jwks === undefined ? null : JSON.stringify(jwks),
  }
}

function toTrustRule(row: Selectable<TrustRulesTable>): TrustRule {
  const { id, namespace, name, issuer, audience, claims, scopes, jwks, generation } = row
  return {
    id,
    namespace,
    name,
    issuer,
    audience,
    claims,
    scopes,
    generation,
    conditions: Object.keys(row.conditions).length === 0 ? undefined : (row.conditions as Conditions),
    jwks: (jwks ?? undefined) as JSONWebKeySet | undefined,
    createdAt: row.created_at,
    createdBy: row.created_by,
    updatedAt: row.updated_at,
  }
}
