import type { FieldFault } from '@registry-manager/http'
import { namespacesOf } from '@registry-manager/oci'
import type { EffectiveGrant, PrincipalRights } from '@registry-manager/principal'
import { ACTIONS_OF_ROLE, mayManageNamespace } from '@registry-manager/principal'
import type { Account } from '../principals/account.ts'
import type { PersonalTokenPrincipal } from '../principals/personal-token.ts'
import type { AccountPrincipal } from '../principals/principal.ts'
import { isPersonalToken, isUser, rightsOfPrincipal } from '../principals/principal.ts'
import type { RegistryToken } from '../principals/registry-token.ts'
import type { ExplainedAccount, Explanation, Question } from './explain.ts'
import { explain } from './explain.ts'
import { INSTALLATION } from './grant.ts'
import type { GrantInput } from './grant-schemas.ts'
import { planTerms } from './manage-grants.ts'
import type {
  AccessListRequest,
  AccountWithAccess,
  AccountsWithAccessPage,
  ListAccountsWithAccessPorts,
} from './list-accounts-with-access.ts'
import { accountState, listAccountsWithAccess, nameOf } from './list-accounts-with-access.ts'
import type { KeysetPage } from './page.ts'

export interface ExplainAccessPorts extends ListAccountsWithAccessPorts {
  /** A user by the username, or a registry token by its name; in lower case. */
  findByName(name: string): Promise<AccountPrincipal | undefined>
  /** A personal token, by its owner's id and its own name or id. */
  findPersonalToken(ownerId: string, nameOrId: string): Promise<PersonalTokenPrincipal | undefined>
  /** A registry token, by its name in lower case or its id. */
  findRegistryToken(nameOrId: string): Promise<RegistryToken | undefined>
  /** The workload of a trust rule, by the rule's id. */
  findWorkload(rule: string): Promise<AccountPrincipal | undefined>
}

/** A question, and rights that this explanation adds or leaves out. */
export interface ExplainRequest extends Question {
  /** The name of a user or of a registry token; the principal itself if absent. */
  readonly account?: string | undefined
  /**
   * Explains this personal token of the account (its name or id). Without `account`: one of the principal's own or, for
   * managers of the namespace, a registry token.
   */
  readonly token?: string | undefined
  /** The id of a trust rule, whose workloads are asked about instead of an account. */
  readonly rule?: string | undefined
  /** The client's address; for the principal itself, that of the request if absent. */
  readonly address?: string | undefined
  /** A grant that the account would have in addition. */
  readonly with?: Omit<GrantInput, 'subject'> | undefined
  /** The id of a grant that the account would not have. */
  readonly without?: string | undefined
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
    | {
        readonly explanation: Explanation
        readonly account: AccountWithAccess['account']
        /** The personal token of the request. */
        readonly token?: { readonly id: string; readonly name: string }
      }
    | { readonly fault: FieldFault }
    | { readonly refused: 'forbidden' | 'unknown' }
  >
  /** Whether a principal manages the namespace of a repository. */
  managesNamespaceOf(principal: Account, repository: string, clientAddress: string): boolean
  /**
   * Lists the accounts that may do an action. `next` is the name after which the next page begins; null on the last
   * page.
   */
  listAccounts(request: AccessListRequest, page: KeysetPage): Promise<AccountsWithAccessPage>
}

/** The id of a grant that does not exist, in explanations. */
const ADDED = 'with'

export function createExplainAccess(ports: ExplainAccessPorts): ExplainAccess {
  const managesNamespaceOf = (principal: Account, repository: string, address: string) =>
    principal.role === 'cluster-administrator' ||
    namespacesOf(repository).some((namespace) =>
      mayManageNamespace(principal, namespace, { address, now: ports.now() }),
    )

  /**
   * The principal that a request asks about. Principals that do not manage the repository's namespace may ask about
   * themselves only.
   */
  const find = async (
    { token, rule }: ExplainRequest,
    account: Account | string,
    manages: boolean,
  ): Promise<AccountPrincipal | undefined> => {
    if (rule !== undefined) return ports.findWorkload(rule)
    const isNamed = typeof account === 'string'
    const found = await ports.findByName(isNamed ? account : account.username)
    if (token === undefined || found === undefined) return found
    const personal = isUser(found) ? await ports.findPersonalToken(found.id, token) : undefined
    if (personal !== undefined || isNamed || !manages) return personal
    return ports.findRegistryToken(token.toLowerCase())
  }

  return {
    managesNamespaceOf,

    async explain(principal, request, clientAddress) {
      const name = (request.account ?? principal.username).toLowerCase()
      const isOwn = request.rule === undefined && name === principal.username
      const manages = managesNamespaceOf(principal, request.repository, clientAddress)
      if (!isOwn && !manages) return { refused: 'forbidden' }
      const found = await find(request, isOwn ? principal : name, manages)
      if (found === undefined) return { refused: 'unknown' }
      const changed = changeRights(found, request)
      if ('fault' in changed) return changed
      const address = request.address ?? (isOwn ? clientAddress : undefined)
      const context = { address, now: ports.now() }
      const explained = {
        ...changed,
        kind: kindOf(found),
        state: accountState(found, context.now),
        generation: found.generation,
      }
      const explanation = explain(explained, request, context)
      const about = {
        account: nameOf(found),
        ...(isPersonalToken(found) && { token: { id: found.via.id, name: found.via.name } }),
      }
      const mightBeGlobal = request.action === 'pull' && !explanation.allowed && isUser(found)
      if (!mightBeGlobal || !(await ports.isGlobal(request.repository))) return { ...about, explanation }
      return { ...about, explanation: explain(explained, request, { ...context, isGlobal: true }) }
    },

    listAccounts: (request, page) => listAccountsWithAccess(ports, request, page),
  }
}

function kindOf(principal: AccountPrincipal): NonNullable<ExplainedAccount['kind']> {
  return isPersonalToken(principal) ? 'personal-token' : nameOf(principal).kind
}

/** The rights of a principal with the changes of a request. */
function changeRights(
  principal: AccountPrincipal,
  request: ExplainRequest,
): { readonly rights: PrincipalRights } | { readonly fault: FieldFault } {
  const grants: EffectiveGrant[] = principal.grants.filter(({ id }) => id !== request.without)
  if (request.with !== undefined) {
    const planned = planTerms(INSTALLATION, request.with, 'with.')
    if ('fault' in planned) return planned
    const { role } = planned.terms
    grants.push({ ...planned.terms, ...(role && { actions: ACTIONS_OF_ROLE[role] }), id: ADDED })
  }
  return { rights: { ...rightsOfPrincipal(principal), grants } }
}
