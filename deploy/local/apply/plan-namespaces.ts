import type { GrantInput, TrustRuleInput } from '@registry-manager/auth-service/management'
import { Grant, TrustRuleBody, isSameRule, planTrustRule } from '@registry-manager/auth-service/management'
import { IMMUTABILITY_SCHEMAS } from '@registry-manager/image-manager/management'
import type { ImmutabilityRule, NamespaceEntry } from './access-file.ts'
import { grantKey, grantText } from './grant-text.ts'
import type { ManagementClient } from './management-client.ts'
import type { Change, Step } from './step.ts'

/** Plans the namespaces of a file. A list that a namespace of the file does not have stays as it is. */
export async function planNamespaces(
  entries: ReadonlyMap<string, NamespaceEntry>,
  client: ManagementClient,
): Promise<Step[]> {
  const steps: Step[] = []
  for (const [namespace, { grants, trustRules, immutability }] of entries) {
    if (grants !== undefined) steps.push(...(await planGrants(namespace, grants, client)))
    if (trustRules !== undefined) steps.push(...(await planTrustRules(namespace, trustRules, client)))
    if (immutability !== undefined) steps.push(...(await planImmutability(namespace, immutability, client)))
  }
  return steps
}

async function planGrants(
  namespace: string,
  wanted: readonly GrantInput[],
  client: ManagementClient,
): Promise<Step[]> {
  const path = `/namespaces/${encodeURIComponent(namespace)}/grants`
  const present: readonly GrantInput[] = await client.list(path, Grant)
  const byKey = (grants: readonly GrantInput[]) =>
    new Map(grants.map((grant) => [grantKey(namespace, grant), grant]))
  const [before, after] = [byKey(present), byKey(wanted)]
  const missing = (all: ReadonlyMap<string, GrantInput>, others: ReadonlyMap<string, GrantInput>) =>
    [...all].filter(([key]) => !others.has(key)).map(([, grant]) => `grant to ${grantText(grant)}`)
  const changes = [
    ...missing(after, before).map((text) => ({ sign: '+', text }) as const),
    ...missing(before, after).map((text) => ({ sign: '-', text }) as const),
  ]
  if (changes.length === 0) return []
  return [
    {
      title: namespace === '*' ? 'grants of the installation (*)' : `grants of the namespace ${namespace}`,
      path: ['namespaces', namespace, 'grants'],
      changes,
      async run(client) {
        await client.send('PUT', path, { items: wanted })
      },
    },
  ]
}

async function planTrustRules(
  namespace: string,
  wanted: readonly TrustRuleInput[],
  client: ManagementClient,
): Promise<Step[]> {
  const path = `/namespaces/${encodeURIComponent(namespace)}/trust-rules`
  const present = await client.list(path, TrustRuleBody)
  const isSame = (one: TrustRuleInput, other: unknown) =>
    isSameTrustRule(namespace, one, other as TrustRuleInput)
  const changes = compareByName('trust rule', present, wanted, isSame)
  if (changes.length === 0) return []
  return [
    {
      title: `trust rules of the namespace ${namespace}`,
      path: ['namespaces', namespace, 'trustRules'],
      changes,
      async run(client) {
        await client.send('PUT', path, { items: wanted })
      },
    },
  ]
}

function isSameTrustRule(namespace: string, one: TrustRuleInput, other: TrustRuleInput): boolean {
  if (one.issuer !== other.issuer) return false
  const origins = new Set([new URL(one.issuer).origin])
  const [first, second] = [one, other].map((rule) => planTrustRule(namespace, rule, origins))
  if (first === undefined || second === undefined || 'fault' in first || 'fault' in second) return false
  return isSameRule(first.plan, second.plan)
}

async function planImmutability(
  namespace: string,
  wanted: readonly ImmutabilityRule[],
  client: ManagementClient,
): Promise<Step[]> {
  const path = `/namespaces/${encodeURIComponent(namespace)}/immutability`
  const { rules: present } = await client.get(path, IMMUTABILITY_SCHEMAS.get.response[200])
  const textOf = ({ repositories, tags, except = [] }: ImmutabilityRule) =>
    JSON.stringify([repositories, tags, except.toSorted()])
  const changes = compareByName(
    'rule for immutable tags',
    present,
    wanted,
    (one, other) => textOf(one) === textOf(other),
  )
  if (changes.length === 0) return []
  return [
    {
      title: `immutable tags of the namespace ${namespace}`,
      path: ['namespaces', namespace, 'immutability'],
      changes,
      async run(client) {
        await client.send('PUT', path, { rules: wanted })
      },
    },
  ]
}

function compareByName<Wanted extends { readonly name: string }, Present extends { readonly name: string }>(
  what: string,
  present: readonly Present[],
  wanted: readonly Wanted[],
  isSame: (wanted: Wanted, present: Present) => boolean,
): Change[] {
  const [before, after] = [
    new Map(present.map((one) => [one.name, one])),
    new Set(wanted.map(({ name }) => name)),
  ]
  return [
    ...wanted.flatMap((one): Change[] => {
      const current = before.get(one.name)
      if (current === undefined) return [{ sign: '+', text: `${what} ${one.name}` }]
      return isSame(one, current) ? [] : [{ sign: '~', text: `${what} ${one.name}` }]
    }),
    ...present
      .filter(({ name }) => !after.has(name))
      .map(({ name }): Change => ({ sign: '-', text: `${what} ${name}` })),
  ]
}
