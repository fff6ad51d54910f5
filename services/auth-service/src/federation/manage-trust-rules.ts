import type { NewEvent, RecordEvents } from '@registry-manager/events'
import type { FieldFault } from '@registry-manager/http'
import type { TrustRuleInput } from './plan-trust-rule.ts'
import { isSameRule, planTrustRule } from './plan-trust-rule.ts'
import type { TrustRule, TrustRuleFields } from './trust-rule.ts'
import { trustRuleChanged, trustRuleCreated, trustRuleDeleted } from './trust-rule-events.ts'

/** The rules of a namespace, ordered by name. */
export interface RulesQuery {
  readonly namespace: string
  /** Only rules whose names follow this one. */
  readonly after?: string | undefined
  readonly limit: number
}

/** The repositories of one transaction. */
export interface TrustRuleTransaction {
  readonly rules: {
    /** Locks the rules of a namespace until the transaction ends; with an id only that one. */
    lock(namespace: string, id?: string): Promise<readonly TrustRule[]>
    insert(namespace: string, fields: TrustRuleFields, createdBy: string): Promise<TrustRule>
    update(id: string, fields: TrustRuleFields, generation: number, at: Date): Promise<TrustRule>
    delete(id: string): Promise<void>
    count(namespace: string): Promise<number>
  }
  revoke(id: string, lowestGeneration: number): Promise<void>
  readonly recordEvents: RecordEvents
}

export interface ManageTrustRulesPorts {
  readonly rules: {
    find(namespace: string, id: string): Promise<TrustRule | undefined>
    list(query: RulesQuery): Promise<readonly TrustRule[]>
  }
  inTransaction<Result>(work: (tx: TrustRuleTransaction) => Promise<Result>): Promise<Result>
  /** Whether an error of `insert` or `update` means that the name is taken. */
  isTaken(error: unknown): boolean
  /** Origins of issuers that may have private addresses. */
  readonly privateOrigins: ReadonlySet<string>
  readonly now: () => number
}

export type Refused =
  | { readonly outcome: 'invalid'; readonly fault: FieldFault }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'taken' }
  | { readonly outcome: 'too-many' }

export interface ManageTrustRules {
  find(namespace: string, id: string): Promise<TrustRule | undefined>
  /** A page of rules; `next` is the name after which the next page begins, undefined on the last page. */
  list(
    query: RulesQuery,
  ): Promise<{ readonly items: readonly TrustRule[]; readonly next: string | undefined }>
  create(
    namespace: string,
    input: TrustRuleInput,
    by: string,
  ): Promise<{ readonly outcome: 'created'; readonly rule: TrustRule } | Refused>
  replace(
    namespace: string,
    id: string,
    input: TrustRuleInput,
  ): Promise<{ readonly outcome: 'replaced'; readonly rule: TrustRule } | Refused>
  /** Makes these the rules of a namespace. A rule with a known name keeps its id; an equal one stays untouched. */
  replaceAll(
    namespace: string,
    inputs: readonly TrustRuleInput[],
    by: string,
  ): Promise<{ readonly outcome: 'replaced'; readonly rules: readonly TrustRule[] } | Refused>
  /** Returns whether there was such a rule. */
  delete(namespace: string, id: string): Promise<boolean>
}

/** Maximum number of trust rules of a namespace. */
export const MAX_TRUST_RULES = 100

class TooMany extends Error {}

/**
 * Manages the trust rules of namespaces. Each change is one transaction: the change itself, the raised generation, the
 * revocation that the services poll, and the event.
 */
export function createManageTrustRules(ports: ManageTrustRulesPorts): ManageTrustRules {
  const { rules, inTransaction, isTaken, privateOrigins, now } = ports

  /** Turns the errors by which a transaction refuses a change into outcomes. */
  const orRefused = async <Result>(work: Promise<Result>): Promise<Result | Refused> => {
    try {
      return await work
    } catch (error) {
      if (isTaken(error)) return { outcome: 'taken' }
      if (error instanceof TooMany) return { outcome: 'too-many' }
      throw error
    }
  }
  const insert = async (tx: TrustRuleTransaction, namespace: string, plan: TrustRuleFields, by: string) => {
    const rule = await tx.rules.insert(namespace, plan, by)
    return { rule, event: trustRuleCreated(rule) }
  }
  const refuseTooMany = async ({ rules }: TrustRuleTransaction, namespace: string) => {
    if ((await rules.count(namespace)) > MAX_TRUST_RULES) throw new TooMany()
  }
  const update = async (tx: TrustRuleTransaction, current: TrustRule, plan: TrustRuleFields) => {
    if (isSameRule(current, plan)) return { rule: current }
    const generation = current.generation + 1
    await tx.revoke(current.id, generation)
    const rule = await tx.rules.update(current.id, plan, generation, new Date(now()))
    return { rule, event: trustRuleChanged(current, rule) }
  }
  const remove = async (tx: TrustRuleTransaction, current: TrustRule) => {
    await tx.revoke(current.id, current.generation + 1)
    await tx.rules.delete(current.id)
    return trustRuleDeleted(current)
  }

  return {
    find: rules.find,

    async list(query) {
      const found = await rules.list({ ...query, limit: query.limit + 1 })
      const items = found.slice(0, query.limit)
      return { items, next: found.length > query.limit ? items.at(-1)?.name : undefined }
    },

    async create(namespace, input, by) {
      const planned = planTrustRule(namespace, input, privateOrigins)
      if ('fault' in planned) return { outcome: 'invalid', fault: planned.fault }
      return orRefused(
        inTransaction(async (tx) => {
          const { rule, event } = await insert(tx, namespace, planned.plan, by)
          await refuseTooMany(tx, namespace)
          await tx.recordEvents(event)
          return { outcome: 'created', rule } as const
        }),
      )
    },

    async replace(namespace, id, input) {
      const planned = planTrustRule(namespace, input, privateOrigins)
      if ('fault' in planned) return { outcome: 'invalid', fault: planned.fault }
      return orRefused(
        inTransaction(async (tx) => {
          const [current] = await tx.rules.lock(namespace, id)
          if (current === undefined) return { outcome: 'absent' } as const
          const { rule, event } = await update(tx, current, planned.plan)
          if (event !== undefined) await tx.recordEvents(event)
          return { outcome: 'replaced', rule } as const
        }),
      )
    },

    async replaceAll(namespace, inputs, by) {
      const planned = planAll(namespace, inputs, privateOrigins)
      if ('fault' in planned) return { outcome: 'invalid', fault: planned.fault }
      return orRefused(
        inTransaction(async (tx) => {
          const current = await tx.rules.lock(namespace)
          const names = new Set(planned.plans.map(({ name }) => name))
          const events: (NewEvent | undefined)[] = []
          for (const rule of current) if (!names.has(rule.name)) events.push(await remove(tx, rule))
          const result: TrustRule[] = []
          for (const plan of planned.plans) {
            const known = current.find(({ name }) => name === plan.name)
            const { rule, event } = await (known ? update(tx, known, plan) : insert(tx, namespace, plan, by))
            result.push(rule)
            events.push(event)
          }
          await refuseTooMany(tx, namespace)
          await tx.recordEvents(...events.filter((event) => event !== undefined))
          return { outcome: 'replaced', rules: result.toSorted(byName) } as const
        }),
      )
    },

    delete: (namespace, id) =>
      inTransaction(async (tx) => {
        const [current] = await tx.rules.lock(namespace, id)
        if (current === undefined) return false
        await tx.recordEvents(await remove(tx, current))
        return true
      }),
  }
}

/** Names are ASCII, so that this is also the order of lists. */
function byName(one: TrustRule, other: TrustRule): number {
  return one.name < other.name ? -1 : 1
}

/** Plans a whole list. Its faults name the item by its position. */
function planAll(
  namespace: string,
  inputs: readonly TrustRuleInput[],
  privateOrigins: ReadonlySet<string>,
): { readonly plans: readonly TrustRuleFields[] } | { readonly fault: FieldFault } {
  const plans = new Map<string, TrustRuleFields>()
  for (const [position, input] of inputs.entries()) {
    const planned = planTrustRule(namespace, input, privateOrigins)
    if ('fault' in planned) {
      const { field, detail } = planned.fault
      return { fault: { field: `items.${position}.${field}`, detail } }
    }
    const { name } = planned.plan
    if (plans.has(name)) return { fault: { field: `items.${position}.name`, detail: 'is given twice' } }
    plans.set(name, planned.plan)
  }
  return { plans: [...plans.values()] }
}
