import { REPOSITORY_ACTIONS, tagMatches, tagMatchesAll } from '@registry-manager/oci'
import type { Access, RepositoryAction } from '@registry-manager/oci'
import type { Conditions, EffectiveGrant, PrincipalRights } from '@registry-manager/principal'
import { decideAccess, isInNetworks } from '@registry-manager/principal'
import * as fc from 'fast-check'
import t from 'tap'
import { grant } from '../../src/access-tokens/grant.ts'

const NOW = Date.parse('2027-03-01T12:00:00Z')
const context = { address: '192.0.2.7', now: NOW }
const repository = (...actions: string[]): Access => ({ type: 'repository', name: 'team/app', actions })
const CATALOG: Access = { type: 'registry', name: 'catalog', actions: ['*'] }
const token = (conditions: Conditions, ...grants: EffectiveGrant[]): PrincipalRights => ({
  scopes: [repository('pull', 'push')],
  grants,
  conditions,
})

t.test('the conditions of a token limit all its access', async (t) => {
  const networks = ['192.0.2.0/24']
  const limited = token({ networks, tags: 'v*', notAfter: '2027-03-01T12:01:00.900Z' })
  t.strictSame(grant(limited, [repository('*'), CATALOG], context), {
    access: [
      { ...repository('pull'), networks },
      { ...repository('push'), networks, tags: 'v*' },
      { ...CATALOG, networks },
    ],
    notAfter: Date.parse('2027-03-01T12:01:00Z') / 1000,
  })
  const elsewhere = { ...context, address: '198.51.100.1' }
  t.strictSame(grant(limited, [repository('*'), CATALOG], elsewhere), { access: [] })
})

t.test('access to a global repository keeps its mark beside the conditions of a token', async (t) => {
  const globals = new Map([['team/app', [17, 2] as const]])
  const rights = { role: 'user', namespaces: [], conditions: { networks: ['192.0.2.0/24'] } } as const
  t.strictSame(grant(rights, [repository('pull')], { ...context, globals }).access, [
    { ...repository('pull'), networks: ['192.0.2.0/24'], global: [17, 2] },
  ])
})

t.test('the conditions of a grant and of a token hold together', async (t) => {
  const granted = (conditions: Conditions): EffectiveGrant => {
    return { id: 'g', repositories: 'team/*', actions: ['push'], conditions }
  }
  const { scopes: _, ...rest } = token(
    { networks: ['192.0.2.0/28'], tags: '*-rc' },
    granted({ networks: ['192.0.2.0/24'], tags: 'v*' }),
  ) as Extract<PrincipalRights, { scopes: unknown }>
  t.strictSame(grant({ ...rest, scopes: [] }, [repository('push')], context).access, [
    { ...repository('push'), networks: ['192.0.2.0/28'], tags: 'v*&*-rc' },
  ])
})

/* What registry-proxy does with an access token, as a model. */
function permitted(access: readonly Access[], action: RepositoryAction, address: string, tag: string) {
  return access.some(
    ({ type, actions, networks, tags }) =>
      type === 'repository' &&
      (actions.includes(action) || (action === 'pull' && actions.includes('push'))) &&
      (networks === undefined || isInNetworks(networks, address)) &&
      (action !== 'push' || tags === undefined || tagMatchesAll(tags, tag)),
  )
}

const network = fc.constantFrom('192.0.2.0/24', '192.0.2.0/28', '10.0.0.0/8', '0.0.0.0/0')
const conditions = fc.record(
  {
    networks: fc.uniqueArray(network, { minLength: 1, maxLength: 2 }),
    tags: fc.constantFrom('v*', '*-rc', 'latest'),
    notAfter: fc.constantFrom('2027-03-01T11:00:00.000Z', '2027-03-01T13:00:00.000Z'),
  },
  { requiredKeys: [] },
)
const actions = fc.subarray([...REPOSITORY_ACTIONS], { minLength: 1 })
const grants = fc.array(
  fc.record({ id: fc.constant('g'), repositories: fc.constantFrom('team/*', 'a/*'), actions, conditions }),
  { maxLength: 3 },
)
const scopes = fc.array(
  actions.map((given) => repository(...given)),
  { maxLength: 1 },
)
const address = fc.constantFrom('192.0.2.7', '192.0.2.77', '10.1.2.3', '203.0.113.1')

t.test(
  'registry-proxy permits the actions that the decision allows, wherever an access token is used',
  async () => {
    const rights = fc.oneof(
      fc.record({ scopes, grants, conditions }),
      fc.record({ role: fc.constant('user' as const), namespaces: fc.constant([]), grants, conditions }),
    )
    const tag = fc.constantFrom('v1', 'v1-rc', 'latest')
    fc.assert(
      fc.property(rights, address, address, tag, (rights, issuedTo, usedFrom, tag) => {
        const { access } = grant(rights, [repository('*')], { address: issuedTo, now: NOW })
        const decisionAt = (address: string) => {
          const decision = decideAccess(rights, 'team/app', { address, now: NOW })
          const { tags: ofToken = '*' } = rights.conditions
          return (action: RepositoryAction) =>
            decision[action].because.some(
              ({ conditions }) =>
                action !== 'push' || (tagMatches(conditions?.tags ?? '*', tag) && tagMatches(ofToken, tag)),
            )
        }
        return REPOSITORY_ACTIONS.every((action) => {
          const isSame = permitted(access, action, issuedTo, tag) === decisionAt(issuedTo)(action)
          return isSame && (!permitted(access, action, usedFrom, tag) || decisionAt(usedFrom)(action))
        })
      }),
      { numRuns: 20_000 },
    )
  },
)
