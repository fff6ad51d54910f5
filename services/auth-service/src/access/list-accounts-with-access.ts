import type { RepositoryAction } from '@registry-manager/oci'
import { namespacesOf } from '@registry-manager/oci'
import type { ConditionContext } from '@registry-manager/principal'
import type { AccountPrincipal } from '../principals/principal.ts'
import { isActive, isRegistryToken, isWorkload, rightsOfPrincipal } from '../principals/principal.ts'
import { stateOf } from '../principals/registry-token.ts'
import type { Workload } from '../principals/workload.ts'
import type { ExplainedAccount, Question, Reason } from './explain.ts'
import { reasonsFor } from './explain.ts'
import type { KeysetPage } from './page.ts'

export interface ListAccountsWithAccessPorts {
  /** Whether every signed-in user may pull a repository. */
  isGlobal(repository: string): Promise<boolean>
  /**
   * A page, sorted by name, of the enabled accounts that have a right on repositories of these patterns, or that have
   * one of these namespaces.
   */
  listWithRights(
    rights: { readonly patterns: readonly string[]; readonly namespaces: readonly string[] },
    page: KeysetPage,
  ): Promise<readonly AccountPrincipal[]>
  /** A page, by `NAMESPACE/RULE`, of the workloads of trust rules of these namespaces with scopes of these patterns. */
  listWorkloads(
    rights: { readonly patterns: readonly string[]; readonly namespaces: readonly string[] },
    page: KeysetPage,
  ): Promise<readonly Workload[]>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface AccessListRequest {
  readonly repository: string
  readonly action: RepositoryAction
  readonly address?: string | undefined
}

/** An account that may do an action, or might if conditions held. */
export interface AccountWithAccess {
  readonly account: { readonly kind: 'user' | 'registry-token' | 'workload'; readonly name: string }
  readonly allowed: boolean
  readonly because: readonly Reason[]
}

export interface AccountsWithAccessPage {
  readonly items: AccountWithAccess[]
  /** The name after which the next page begins; null on the last page. */
  readonly next: string | null
  /** Whether every signed-in user may do the action. */
  readonly global: boolean
}

/** Maximum number of accounts that one statement of a list reads, and of statements for one page. */
const [BATCH, MAX_STATEMENTS] = [500, 10]

/** Lists the accounts and workloads that may do an action, or might if conditions held. */
export async function listAccountsWithAccess(
  ports: ListAccountsWithAccessPorts,
  { repository, action, address }: AccessListRequest,
  { limit, after }: KeysetPage,
): Promise<AccountsWithAccessPage> {
  const context = { address, now: ports.now() }
  const rights = { patterns: patternsOf(repository), namespaces: namespacesOf(repository) }
  const global = action === 'pull' && (await ports.isGlobal(repository))
  const items: AccountWithAccess[] = []
  // Accounts by name, then workloads by name: only these have a slash in their names.
  let [last, isWorkloads] = [after, after?.includes('/') ?? false]
  for (let statements = 0; statements < MAX_STATEMENTS; statements += 1) {
    const list = isWorkloads ? ports.listWorkloads : ports.listWithRights
    const found = await list(rights, { after: last, limit: BATCH })
    for (const principal of found) {
      const entry = toAccountWithAccess(principal, { repository, action }, context)
      if (entry === undefined) continue
      // One more entry shows that another page follows.
      if (items.length === limit) return { items, next: keyOf(items.at(-1)), global }
      items.push(entry)
    }
    last = found.length === 0 ? last : keyOf(found.map((one) => ({ account: nameOf(one) })).at(-1))
    if (found.length < BATCH) {
      if (isWorkloads) return { items, next: null, global }
      ;[last, isWorkloads] = ['/', true]
    }
  }
  return { items, next: last ?? null, global }
}

/** The sort key of an entry: its name in lower case. */
function keyOf(entry: Pick<AccountWithAccess, 'account'> | undefined): string {
  return entry?.account.name.toLowerCase() ?? ''
}

function toAccountWithAccess(
  principal: AccountPrincipal,
  question: Question,
  context: ConditionContext,
): AccountWithAccess | undefined {
  if (accountState(principal, context.now) !== 'enabled') return undefined
  const { allowed, because } = reasonsFor(rightsOfPrincipal(principal), question, context)
  return because.length === 0 ? undefined : { account: nameOf(principal), allowed, because }
}

/** A principal as explanations name it; for a personal token, its owner. */
export function nameOf(principal: AccountPrincipal): AccountWithAccess['account'] {
  if (isWorkload(principal)) return { kind: 'workload', name: principal.rules[0]?.name ?? '' }
  return { kind: isRegistryToken(principal) ? 'registry-token' : 'user', name: principal.username }
}

export function accountState(principal: AccountPrincipal, now: number): ExplainedAccount['state'] {
  if (isRegistryToken(principal)) return stateOf(principal, now)
  if (!principal.enabled) return 'disabled'
  return isActive(principal, now) ? 'enabled' : 'expired'
}

/** All patterns that cover a repository. */
function patternsOf(repository: string): string[] {
  const parts = repository.split('/')
  const below = parts.slice(1).map((_, index) => `${parts.slice(0, index + 1).join('/')}/*`)
  return [repository, ...below, '*']
}
