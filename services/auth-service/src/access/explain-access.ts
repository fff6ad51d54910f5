import type { FieldFault } from '@registry-manager/http'
import type { RepositoryAction } from '@registry-manager/oci'
import { isNested } from '@registry-manager/oci'
import type { ConditionContext, EffectiveGrant, PrincipalRights } from '@registry-manager/principal'
import { ACTIONS_OF_ROLE, mayManageNamespace } from '@registry-manager/principal'
import type { Account } from '../principals/account.ts'
import type { AccountPrincipal } from '../principals/principal.ts'
import { isRegistryToken, isWorkload } from '../principals/principal.ts'
import { stateOf } from '../principals/registry-token.ts'
import type { ExplainedAccount, Explanation, Question, Reason } from './explain.ts'
import { explain, reasonsFor } from './explain.ts'
import { INSTALLATION } from './grant.ts'
import type { GrantInput } from './grant-schemas.ts'
import { planTerms } from './manage-grants.ts'
import type { KeysetPage } from './page.ts'

export interface ExplainAccessPorts {
  /** A user by the username, or a registry token by its name; in lower case. */
  findByName(name: string): Promise<AccountPrincipal | undefined>
  /** The workload of a trust rule, by the rule's id. */
  findWorkload(rule: string): Promise<AccountPrincipal | undefined>
  /** Whether every signed-in user may pull a repository. */
  isGlobal(repository: string): Promise<boolean>
  /**
   * A page, by name, of the enabled accounts that have any right on repositories of these patterns, or all of these
   * namespaces.
   */
  listWithRights(
    rights: { readonly patterns: readonly string[]; readonly namespaces: readonly string[] },
    page: KeysetPage,
  ): Promise<readonly AccountPrincipal[]>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** A question, and rights that are added or left out for its answer only. */
export interface ExplainRequest extends Question {
  /** The name of a user or of a registry token; the principal itself if absent. */
  readonly account?: string | undefined
  /** The id of a trust rule, whose workloads are asked about instead of an account. */
  readonly rule?: string | undefined
  /** The client's address; for the principal itself, that of the request if absent. */
  readonly address?: string | undefined
  /** A grant that the account would have in addition. */
  readonly with?: Omit<GrantInput, 'subject'> | undefined
  /** The id of a grant that the account would not have. */
  readonly without?: string | undefined
}

export interface WhoRequest {
  readonly repository: string
  readonly action: RepositoryAction
  readonly address?: string | undefined
}

/** An account that may do an action, or might if conditions held. */
export interface Holder {
  readonly account: { readonly kind: 'user' | 'registry-token' | 'workload'; readonly name: string }
  readonly allowed: boolean
  readonly because: readonly Reason[]
}

export interface ExplainAccess {
  /**
   * Explains the access of the principal itself or, for those who manage the repository's namespace, of any account.
   * Others get `forbidden`, whatever they ask for.
   */
  explain(
    principal: Account,
    request: ExplainRequest,
    clientAddress: string,
  ): Promise<
    | { readonly explanation: Explanation; readonly account: Holder['account'] }
    | { readonly fault: FieldFault }
    | { readonly refused: 'forbidden' | 'unknown' }
  >
  /** Whether a principal manages the namespace of a repository. */
  mayList(principal: Account, repository: string, clientAddress: string): boolean
  /** Lists who may do an action. `next` is the name after which the next page begins; null on the last page. */
  who(
    request: WhoRequest,
    page: KeysetPage,
  ): Promise<{ readonly items: Holder[]; readonly next: string | null; readonly global: boolean }>
}

/** How many accounts one statement of a list reads, and how many statements one page takes at most. */
const [BATCH, MAX_STATEMENTS] = [500, 10]
/** The id of a grant that does not exist, in explanations. */
const ADDED = 'with'

export function createExplainAccess(ports: ExplainAccessPorts): ExplainAccess {
  const mayList = (principal: Account, repository: string, address: string) =>
    principal.role === 'cluster-administrator' ||
    namespacesOf(repository).some((namespace) =>
      mayManageNamespace(principal, namespace, { address, now: ports.now() }),
    )

  return {
    mayList,

    async explain(principal, request, clientAddress) {
      const name = (request.account ?? principal.username).toLowerCase()
      const isOwn = request.rule === undefined && name === principal.username
      if (!isOwn && !mayList(principal, request.repository, clientAddress)) return { refused: 'forbidden' }
      const found = await (request.rule === undefined
        ? ports.findByName(name)
        : ports.findWorkload(request.rule))
      if (found === undefined) return { refused: 'unknown' }
      const changed = changeRights(found, request)
      if ('fault' in changed) return changed
      const address = request.address ?? (isOwn ? clientAddress : undefined)
      const context = { address, now: ports.now() }
      const explained = {
        ...changed,
        isWorkload: isWorkload(found),
        state: accountState(found, context.now),
        generation: found.generation,
      }
      const explanation = explain(explained, request, context)
      const account = nameOf(found)
      const mightBeGlobal = request.action === 'pull' && !explanation.allowed && account.kind === 'user'
      if (!mightBeGlobal || !(await ports.isGlobal(request.repository))) return { account, explanation }
      return { account, explanation: explain(explained, request, { ...context, isGlobal: true }) }
    },

    async who({ repository, action, address }, { limit, after }) {
      const context = { address, now: ports.now() }
      const rights = { patterns: patternsOf(repository), namespaces: namespacesOf(repository) }
      const global = action === 'pull' && (await ports.isGlobal(repository))
      const items: Holder[] = []
      let last = after
      for (let statements = 0; statements < MAX_STATEMENTS; statements += 1) {
        const accounts = await ports.listWithRights(rights, { after: last, limit: BATCH })
        for (const account of accounts) {
          const holder = toHolder(account, { repository, action }, context)
          if (holder === undefined) continue
          // One more entry shows that another page follows.
          if (items.length === limit)
            return { items, next: items.at(-1)?.account.name.toLowerCase() ?? null, global }
          items.push(holder)
        }
        last = accounts.at(-1)?.username.toLowerCase() ?? last
        if (accounts.length < BATCH) return { items, next: null, global }
      }
      return { items, next: last ?? null, global }
    },
  }
}

function toHolder(
  account: AccountPrincipal,
  question: Question,
  context: ConditionContext,
): Holder | undefined {
  if (accountState(account, context.now) !== 'enabled') return undefined
  const { allowed, because } = reasonsFor(account, question, context)
  return because.length === 0 ? undefined : { account: nameOf(account), allowed, because }
}

function nameOf(account: AccountPrincipal): Holder['account'] {
  if (isWorkload(account)) return { kind: 'workload', name: account.rules[0]?.name ?? '' }
  return { kind: isRegistryToken(account) ? 'registry-token' : 'user', name: account.username }
}

function accountState(account: AccountPrincipal, now: number): ExplainedAccount['state'] {
  if (isRegistryToken(account)) return stateOf(account, now)
  return account.enabled ? 'enabled' : 'disabled'
}

/** The rights of an account with the changes of a request. */
function changeRights(
  account: AccountPrincipal,
  request: ExplainRequest,
): { readonly rights: PrincipalRights } | { readonly fault: FieldFault } {
  const grants: EffectiveGrant[] = account.grants.filter(({ id }) => id !== request.without)
  if (request.with !== undefined) {
    const planned = planTerms(INSTALLATION, request.with, 'with.')
    if ('fault' in planned) return planned
    const { role } = planned.terms
    grants.push({ ...planned.terms, ...(role && { actions: ACTIONS_OF_ROLE[role] }), id: ADDED })
  }
  return { rights: { ...account, grants } }
}

/** The namespaces that contain a repository. One of several components also has the repository of its name. */
function namespacesOf(repository: string): string[] {
  const parts = repository.split('/')
  const above = parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
  return isNested(repository) ? [...above, repository] : above
}

/** All patterns that cover a repository. */
function patternsOf(repository: string): string[] {
  const parts = repository.split('/')
  const below = parts.slice(1).map((_, index) => `${parts.slice(0, index + 1).join('/')}/*`)
  return [repository, ...below, '*']
}
