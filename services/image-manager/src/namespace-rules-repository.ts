import type { Database } from '@registry-manager/database'
import { anyOf, inTransaction } from '@registry-manager/database'
import type { EventAction } from '@registry-manager/events'
import { namespacesOf } from '@registry-manager/oci'
import { sql } from 'kysely'
import { recordEventsIn } from './events-repository.ts'

export interface NamespaceRulesTable {
  /** Its columns are `namespace`, `rules` and `updated_at`. A namespace without rules has no row. */
  readonly table: 'tag_rules' | 'retention_rules'
  /** The event of a change. */
  readonly action: EventAction
}

/** Lists of rules, one for each namespace that has rules. */
export function createNamespaceRulesRepository<Rule extends object>(
  db: Database,
  { table, action }: NamespaceRulesTable,
) {
  const rows = sql.table(table)
  return {
    /** The rules of all namespaces that cover a repository, outer namespaces first. */
    async listRules(repository: string): Promise<(Rule & { readonly namespace: string })[]> {
      const namespaces = namespacesOf(repository)
      if (namespaces.length === 0) return []
      const { rows: found } = await sql<{ namespace: string; rules: readonly Rule[] }>`
        select namespace, rules from ${rows} where namespace = ${anyOf(namespaces)}
        order by namespace`.execute(db)
      return found.flatMap(({ namespace, rules }) => rules.map((rule) => ({ ...rule, namespace })))
    },

    /** The rules of one namespace, in their order. */
    async getRules(namespace: string): Promise<readonly Rule[]> {
      const { rows: found } = await sql<{ rules: readonly Rule[] }>`
        select rules from ${rows} where namespace = ${namespace}`.execute(db)
      return found[0]?.rules ?? []
    },

    /** Replaces all rules of a namespace, and records the event if that changes them. */
    async replaceRules(namespace: string, rules: readonly Rule[]): Promise<void> {
      const wanted = JSON.stringify(rules)
      await inTransaction(db, async (tx) => {
        const key = `${table} of ${namespace}`
        await sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`.execute(tx)
        const { rows: found } = await sql<{ rules: readonly Rule[]; isSame: boolean }>`
          select rules, rules = ${wanted}::jsonb as "isSame" from ${rows} where namespace = ${namespace}`.execute(
          tx,
        )
        const before = found[0]
        if (before?.isSame ?? rules.length === 0) return
        if (rules.length === 0) await sql`delete from ${rows} where namespace = ${namespace}`.execute(tx)
        else
          await sql`
            insert into ${rows} (namespace, rules) values (${namespace}, ${wanted})
            on conflict (namespace) do update set rules = excluded.rules, updated_at = now()`.execute(tx)
        await recordEventsIn(tx)({
          action,
          target: { kind: 'namespace', namespace },
          detail: { rules: { from: before?.rules ?? [], to: rules } },
        })
      })
    },
  }
}
