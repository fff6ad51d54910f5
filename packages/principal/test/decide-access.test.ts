import type { RepositoryAction } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS, patternCovers } from '@registry-manager/oci'
import * as fc from 'fast-check'
import t from 'tap'
import type { Conditions } from '../src/conditions.ts'
import { decideAccess, patternsThatAllow } from '../src/decide-access.ts'
import { ROLES } from '../src/principal.ts'
import type { EffectiveGrant, PrincipalRights } from '../src/rights.ts'
import { ACTIONS_OF_ROLE, GRANT_ROLES } from '../src/rights.ts'

const NOW = Date.parse('2027-03-01T12:00:00Z')
const [EARLIER, LATER] = ['2027-03-01T11:00:00.000Z', '2027-03-01T13:00:00.000Z']
const INSIDE = { address: '10.1.2.3', now: NOW }

/* The reference model: rights as sentences, written without any code of the decision. */

/** Whether a pattern covers a repository, by a regular expression for each kind of pattern. */
function modelCovers(pattern: string, repository: string): boolean {
  const literal = pattern.replaceAll('*', '.+')
  return new RegExp(`^${literal}$`).test(repository)
}

function modelHolds(conditions: Conditions | undefined, address: string): boolean {
  if (conditions?.notBefore === LATER || conditions?.notAfter === EARLIER) return false
  return conditions?.networks === undefined || address.startsWith('10.')
}

function modelAllows(
  rights: PrincipalRights,
  repository: string,
  action: RepositoryAction,
  address: string,
  isGlobal: boolean,
): boolean {
  if (!/^[a-z/]+$/.test(repository)) return false
  if (!modelHolds(rights.conditions, address)) return false
  const wanted = action === 'pull' ? ['pull', 'push'] : [action]
  const some = (actions: readonly string[]) => actions.some((one) => wanted.includes(one))
  if ('limitedTo' in rights && rights.limitedTo !== undefined) {
    const within = rights.limitedTo.some(
      ({ name, actions }) => modelCovers(name, repository) && some(actions),
    )
    if (!within) return false
  }
  for (const grant of rights.grants ?? []) {
    const applies = modelCovers(grant.repositories, repository) && modelHolds(grant.conditions, address)
    if (applies && some(grant.actions)) return true
  }
  if ('scopes' in rights) {
    return rights.scopes.some(({ name, actions }) => modelCovers(name, repository) && some(actions))
  }
  if (rights.role === 'cluster-administrator') return true
  if (isGlobal && action === 'pull') return true
  return rights.namespaces.some(
    (namespace) =>
      repository.startsWith(`${namespace}/`) || (namespace.includes('/') && namespace === repository),
  )
}

/* Few names, so that patterns and repositories meet often. */
const component = fc.constantFrom('a', 'b', 'ab')
const name = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const repository = fc.oneof(
  { weight: 20, arbitrary: name },
  { weight: 1, arbitrary: fc.constantFrom('A/b', '', '*') },
)
const pattern = fc.oneof(
  name,
  name.map((prefix) => `${prefix}/*`),
  fc.constant('*'),
)
const actions = fc.subarray([...REPOSITORY_ACTIONS], { minLength: 1 })
const conditions = fc.option(
  fc.record(
    {
      networks: fc.constant(['10.0.0.0/8']),
      notBefore: fc.constantFrom(EARLIER, LATER),
      notAfter: fc.constantFrom(EARLIER, LATER),
      tags: fc.constant('v*'),
    },
    { requiredKeys: [] },
  ),
  { nil: undefined },
)
const grant = fc
  .record({
    repositories: pattern,
    role: fc.option(fc.constantFrom(...GRANT_ROLES), { nil: undefined }),
    listed: actions,
    conditions,
  })
  .map(({ repositories, role, listed, conditions }): EffectiveGrant => ({
    id: 'g',
    repositories,
    ...(role && { role }),
    actions: role === undefined ? listed : ACTIONS_OF_ROLE[role],
    ...(conditions && { conditions }),
  }))
const grants = fc.array(grant, { maxLength: 3 })
const scopes = fc.array(fc.record({ type: fc.constant('repository'), name: pattern, actions }), {
  maxLength: 2,
})
const user = { role: fc.constantFrom(...ROLES), namespaces: fc.array(name, { maxLength: 2 }), grants }
/** The conditions of a token: none for most. */
const ofToken = fc.option(conditions, { freq: 2, nil: undefined })
const rights: fc.Arbitrary<PrincipalRights> = fc.oneof(
  fc.record(user),
  fc.record({ ...user, limitedTo: scopes, conditions: ofToken }),
  fc.record({ ...user, conditions: ofToken }),
  fc.record({ scopes, grants, conditions: ofToken }),
)
const address = fc.constantFrom('10.1.2.3', '192.0.2.1')

t.test(
  'access decisions agree with the reference model, and lists of repositories with the decisions',
  async (t) => {
    fc.assert(
      fc.property(rights, repository, address, fc.boolean(), (rights, repository, address, isGlobal) => {
        const decision = decideAccess(rights, repository, { address, now: NOW, isGlobal })
        const own = decideAccess(rights, repository, { address, now: NOW })
        for (const action of REPOSITORY_ACTIONS) {
          const { allowed, because, failed, tokenFault } = decision[action]
          if (allowed !== modelAllows(rights, repository, action, address, isGlobal)) return false
          if (allowed !== because.length > 0) return false
          const { conditions: _, ...unconditional } = rights
          const without = decideAccess(unconditional, repository, { address, now: NOW, isGlobal })
          if ((tokenFault !== undefined) !== (without[action].allowed && !allowed)) return false
          if (because.some((permission) => failed.some((other) => other.permission === permission)))
            return false
          const listed = patternsThatAllow(rights, action, { address, now: NOW })
          const isListed = /^[a-z]/.test(repository) && listed.some((one) => patternCovers(one, repository))
          if (isListed !== own[action].allowed) return false
        }
        return true
      }),
      { numRuns: 100_000 },
    )
    t.pass('100,000 cases')
  },
)

t.test(
  'a decision names the grant, the namespace, the role, the scope or the global repository',
  async (t) => {
    const reader: EffectiveGrant = {
      id: 'g-1',
      repositories: 'team/app',
      role: 'reader',
      actions: ['pull'],
      group: 'devs',
    }
    const user = { role: 'user', namespaces: ['mine'], grants: [reader] } as const
    const basisOf = (rights: PrincipalRights, repository: string, isGlobal = false) =>
      decideAccess(rights, repository, { ...INSIDE, isGlobal }).pull.because.map(({ basis }) => basis)
    t.strictSame(basisOf(user, 'team/app'), [{ kind: 'grant', grant: reader }])
    t.strictSame(basisOf(user, 'mine/app'), [{ kind: 'namespace', namespace: 'mine' }])
    t.strictSame(basisOf(user, 'other/app', true), [{ kind: 'global' }])
    t.strictSame(basisOf({ role: 'cluster-administrator', namespaces: [] }, 'app'), [
      { kind: 'role', role: 'cluster-administrator' },
    ])
    t.strictSame(
      basisOf({ scopes: [{ type: 'repository', name: 'team/*', actions: ['push'] }] }, 'team/app', true),
      [{ kind: 'scope', repositories: 'team/*' }],
      'a registry token gets nothing from a global repository',
    )
  },
)

t.test('a permission whose condition fails is reported with the condition', async (t) => {
  const grants: EffectiveGrant[] = [
    {
      id: 'g-1',
      repositories: 'team/*',
      role: 'developer',
      actions: ['pull', 'push'],
      conditions: { networks: ['10.0.0.0/8'] },
    },
  ]
  const rights = { role: 'user', namespaces: [], grants } as const
  const { push } = decideAccess(rights, 'team/app', { address: '192.0.2.1', now: NOW })
  t.equal(push.allowed, false)
  t.match(push.failed, [{ permission: { basis: { kind: 'grant' } }, fault: { condition: 'networks' } }])
  t.equal(decideAccess(rights, 'team/app', INSIDE).push.allowed, true)
})

t.test('a decision reads each grant of an account twice at the most', async (t) => {
  let reads = 0
  const grants = Array.from({ length: 10_000 }, (_, index): EffectiveGrant => ({
    id: `${index}`,
    get repositories() {
      reads += 1
      return `team${index}/*`
    },
    role: 'reader',
    actions: ['pull'],
  }))
  const decision = decideAccess({ role: 'user', namespaces: [], grants }, 'team9999/app', INSIDE)
  t.equal(decision.pull.allowed, true)
  t.ok(reads <= 2 * grants.length, `${reads} reads`)
})

t.test('no right covers a repository of the trash', async (t) => {
  const trash = 'registry-manager-trash/a'
  const actions = REPOSITORY_ACTIONS
  const everything = { type: 'repository', name: '*', actions }
  const named = { type: 'repository', name: trash, actions }
  const grants = [trash, 'registry-manager-trash/*', '*'].map((repositories) => ({
    id: 'g',
    repositories,
    actions,
  }))
  const namespaces = ['registry-manager-trash']
  const principals: readonly PrincipalRights[] = [
    { role: 'cluster-administrator', namespaces, grants },
    { role: 'administrator', namespaces, grants },
    { role: 'user', namespaces, grants, limitedTo: [everything, named] },
    { scopes: [everything, named], grants },
  ]
  for (const rights of principals) {
    for (const name of [trash, 'registry-manager-trash']) {
      const decision = decideAccess(rights, name, { ...INSIDE, isGlobal: true })
      for (const action of actions) t.equal(decision[action].allowed, false, `${action} ${name}`)
    }
  }
})
