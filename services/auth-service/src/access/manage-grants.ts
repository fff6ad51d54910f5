import type { RecordListsOfEvents } from '@registry-manager/events'
import type { FieldFault } from '@registry-manager/http'
import { REPOSITORY_ACTIONS } from '@registry-manager/oci'
import { grantChanged } from './access-events.ts'
import { parseConditions } from './conditions.ts'
import type { GrantTerms, PlannedGrant, StoredGrant, Subject, SubjectKind } from './grant.ts'
import { INSTALLATION, identityOf, mayNamePattern, planGrants } from './grant.ts'
import type { GrantInput } from './grant-schemas.ts'
import type { KeysetPage } from './page.ts'
import type { AffectedAccounts } from '../principals/account.ts'

/** The queries of one transaction. */
export interface GrantRepositories {
  lockNamespace(namespace: string): Promise<void>
  listGrants(namespace: string): Promise<StoredGrant[]>
  findGrant(namespace: string, id: string): Promise<StoredGrant | undefined>
  findSubjects(kind: SubjectKind, names: readonly string[]): Promise<ReadonlyMap<string, string>>
  insertGrants(namespace: string, grants: readonly PlannedGrant[], createdBy: string): Promise<StoredGrant[]>
  deleteGrants(ids: readonly string[]): Promise<void>
  /** Ends the access tokens of accounts and of the members of groups. */
  raiseGenerations(affected: AffectedAccounts): Promise<unknown>
  readonly recordEvents: RecordListsOfEvents
}

export interface ManageGrantsPorts {
  listGrants(namespace: string, page: KeysetPage): Promise<StoredGrant[]>
  inTransaction<Result>(work: (repositories: GrantRepositories) => Promise<Result>): Promise<Result>
}

export interface GrantCounts {
  readonly added: number
  readonly removed: number
  readonly unchanged: number
}

/** Manages the grants of a namespace. Whether the principal may do that was decided before. */
export interface ManageGrants {
  list(namespace: string, page: KeysetPage): Promise<StoredGrant[]>
  create(
    namespace: string,
    input: GrantInput,
    createdBy: string,
  ): Promise<{ readonly grant: StoredGrant } | { readonly fault: FieldFault } | { readonly refused: 'taken' }>
  /** Makes the given grants the only ones of the namespace. Those of them that exist already stay unchanged. */
  replaceAll(
    namespace: string,
    inputs: readonly GrantInput[],
    createdBy: string,
  ): Promise<GrantCounts | { readonly fault: FieldFault }>
  /** False if there is no such grant. */
  delete(namespace: string, id: string): Promise<boolean>
}

export function createManageGrants({ listGrants, inTransaction }: ManageGrantsPorts): ManageGrants {
  /** Applies a change and its consequences in the transaction. Returns the new grants. */
  const apply = async (
    repositories: GrantRepositories,
    namespace: string,
    { add, remove }: { readonly add: readonly PlannedGrant[]; readonly remove: readonly StoredGrant[] },
    createdBy: string,
  ): Promise<StoredGrant[]> => {
    if (add.length === 0 && remove.length === 0) return []
    await repositories.deleteGrants(remove.map(({ id }) => id))
    const added = await repositories.insertGrants(namespace, add, createdBy)
    await repositories.raiseGenerations(affectedBy([...add, ...remove]))
    await repositories.recordEvents(
      remove.map((grant) => grantChanged('grant.delete', namespace, grant)),
      added.map((grant) => grantChanged('grant.create', namespace, grant)),
    )
    return added
  }

  return {
    list: listGrants,

    create: (namespace, input, createdBy) =>
      inTransaction(async (repositories) => {
        await repositories.lockNamespace(namespace)
        const planned = await planInputs(repositories, namespace, [input])
        if ('fault' in planned) return planned
        const stored = await repositories.listGrants(namespace)
        const taken = new Set(stored.map(identityOf))
        if (planned.grants.some((grant) => taken.has(identityOf(grant)))) return { refused: 'taken' }
        const [grant] = await apply(repositories, namespace, { add: planned.grants, remove: [] }, createdBy)
        if (grant === undefined) throw new Error('the grant was not inserted')
        return { grant }
      }),

    replaceAll: (namespace, inputs, createdBy) =>
      inTransaction(async (repositories) => {
        await repositories.lockNamespace(namespace)
        const planned = await planInputs(repositories, namespace, inputs, 'items')
        if ('fault' in planned) return planned
        const stored = await repositories.listGrants(namespace)
        const change = planGrants(stored, planned.grants)
        await apply(repositories, namespace, change, createdBy)
        const [added, removed] = [change.add.length, change.remove.length]
        return { added, removed, unchanged: stored.length - removed }
      }),

    delete: (namespace, id) =>
      inTransaction(async (repositories) => {
        await repositories.lockNamespace(namespace)
        const grant = await repositories.findGrant(namespace, id)
        if (grant === undefined) return false
        await apply(repositories, namespace, { add: [], remove: [grant] }, '')
        return true
      }),
  }
}

function affectedBy(grants: readonly PlannedGrant[]): AffectedAccounts {
  const idsOf = (isGroup: boolean) =>
    grants.filter(({ subject }) => (subject.kind === 'group') === isGroup).map(({ subject }) => subject.id)
  return { accountIds: [...new Set(idsOf(false))], groupIds: [...new Set(idsOf(true))] }
}

/** Plans grants from a request. `list` is the field of the list that has them; undefined for a single grant. */
async function planInputs(
  { findSubjects }: Pick<GrantRepositories, 'findSubjects'>,
  namespace: string,
  inputs: readonly GrantInput[],
  list?: string,
): Promise<{ readonly grants: readonly PlannedGrant[] } | { readonly fault: FieldFault }> {
  const ids = new Map<string, string>()
  for (const kind of ['user', 'group', 'registry-token'] as const) {
    const names = inputs.filter(({ subject }) => subject.kind === kind).map(({ subject }) => keyOf(subject))
    if (names.length === 0) continue
    for (const [name, id] of await findSubjects(kind, [...new Set(names)])) ids.set(`${kind} ${name}`, id)
  }
  const grants = new Map<string, PlannedGrant>()
  for (const [index, input] of inputs.entries()) {
    const at = list === undefined ? '' : `${list}.${index}.`
    const planned = planTerms(namespace, input, at)
    if ('fault' in planned) return planned
    const { kind, name } = input.subject
    const id = ids.get(`${kind} ${keyOf(input.subject)}`)
    if (id === undefined) {
      return { fault: { field: `${at}subject.name`, detail: `must name a ${kind}; there is no ${name}` } }
    }
    const grant = { ...planned.terms, subject: { kind, name, id } }
    const identity = identityOf(grant)
    if (grants.has(identity))
      return { fault: { field: `${list}.${index}`, detail: 'occurs twice in the list' } }
    grants.set(identity, grant)
  }
  return { grants: [...grants.values()] }
}

/** Names are unique in lower case. */
function keyOf({ name }: Subject): string {
  return name.toLowerCase()
}

/** Plans the rights that a grant gives. `at` is the path of the fields in the request, such as `items.0.`. */
export function planTerms(
  namespace: string,
  { repositories, role, actions, conditions: given }: Omit<GrantInput, 'subject'>,
  at: string,
): { readonly terms: GrantTerms } | { readonly fault: FieldFault } {
  if (!mayNamePattern(namespace, repositories)) {
    const examples =
      namespace === INSTALLATION ? 'team/app, team/* or *' : `${namespace}/app or ${namespace}/*`
    return { fault: { field: `${at}repositories`, detail: `must be in this namespace, such as ${examples}` } }
  }
  if ((role === undefined) === (actions === undefined)) {
    return {
      fault: {
        field: `${at}role`,
        detail: 'is required unless actions is given; send one of the two fields',
      },
    }
  }
  const parsed = parseConditions(given, `${at}conditions`)
  if ('fault' in parsed) return parsed
  return {
    terms: {
      repositories,
      ...(role && { role }),
      actions: REPOSITORY_ACTIONS.filter((action) => actions?.includes(action)),
      ...(parsed.conditions && { conditions: parsed.conditions }),
    },
  }
}
