import type { Access } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS } from '@registry-manager/oci'
import type { Conditions, EffectiveGrant, PrincipalRights } from '@registry-manager/principal'
import { ACTIONS_OF_ROLE, GRANT_ROLES, ROLES } from '@registry-manager/principal'
import * as fc from 'fast-check'
import t from 'tap'
import { tagMatchesAll } from '@registry-manager/oci'
import { grant as grantAccess } from '../../src/access-tokens/grant.ts'
import type { ExplainedAccount, Question } from '../../src/access/explain.ts'
import { explain } from '../../src/access/explain.ts'

const NOW = Date.parse('2027-03-01T12:00:00Z')
const [EARLIER, LATER] = ['2027-03-01T11:00:00.000Z', '2027-03-01T13:00:00.000Z']
const context = { address: '192.0.2.1', now: NOW }

const reader: EffectiveGrant = {
  id: 'g-1',
  repositories: 'team/app',
  role: 'reader',
  actions: ['pull'],
}
const developer = (conditions?: Conditions, group?: string): EffectiveGrant => ({
  id: 'g-2',
  repositories: 'team/*',
  role: 'developer',
  actions: ['pull', 'push'],
  ...(conditions && { conditions }),
  ...(group !== undefined && { group }),
})
const withGrants = (...grants: EffectiveGrant[]): ExplainedAccount => ({
  rights: { role: 'user', namespaces: ['own'], grants },
  state: 'enabled',
  generation: 3,
})
const push: Question = { repository: 'team/app', action: 'push' }

t.test(
  'an account that may push gets the grant, the group, the namespace or the role that decides',
  async (t) => {
    const shown = { id: 'g-2', repositories: 'team/*', role: 'developer' }
    t.strictSame(explain(withGrants(reader, developer()), push, context), {
      allowed: true,
      because: [{ kind: 'grant', ...shown }],
      missing: null,
    })
    t.match(explain(withGrants(developer(undefined, 'devs')), push, context).because, [
      { kind: 'group', name: 'devs', ...shown },
    ])
    t.match(explain(withGrants(), { ...push, repository: 'own/app' }, context).because, [
      { kind: 'namespace', namespace: 'own' },
    ])
    const rights = { role: 'cluster-administrator', namespaces: [] } as const
    t.match(explain({ ...withGrants(), rights }, push, context).because, [{ kind: 'role' }])
    const scopes = [{ type: 'repository', name: 'team/*', actions: ['push'] }]
    t.match(explain({ ...withGrants(), rights: { scopes } }, push, context).because, [
      { kind: 'scope', repositories: 'team/*', actions: ['push'] },
    ])
    const pull = { repository: 'far/app', action: 'pull' } as const
    t.match(explain(withGrants(), pull, { ...context, isGlobal: true }).because, [{ kind: 'global' }])
  },
)

t.test(
  'the explanation for an account that may not push has its other rights, the missing right, and the principals who can grant it',
  async (t) => {
    t.strictSame(explain(withGrants(reader), push, context), {
      allowed: false,
      because: [{ kind: 'grant', id: 'g-1', repositories: 'team/app', role: 'reader' }],
      missing:
        'no right to push to team/app; an owner or administrator of team, or a cluster administrator, can grant the ' +
        'role developer for team/app',
    })
    t.match(explain(withGrants(), { repository: 'alpine', action: 'delete' }, context), {
      because: [],
      missing:
        'no right to delete in alpine; a cluster administrator can grant the role maintainer for alpine',
    })
  },
)

t.test('a condition that does not hold is named with its grant', async (t) => {
  const cases: readonly (readonly [Conditions, string, string])[] = [
    [{ networks: ['10.0.0.0/8'] }, 'networks', 'it applies to clients in 10.0.0.0/8 only'],
    [{ notAfter: EARLIER }, 'notAfter', `it ended at ${EARLIER}`],
    [{ notBefore: LATER }, 'notBefore', `it applies from ${LATER} on`],
    [{ tags: 'v*' }, 'tags', 'it applies to tags that match v* only, not to latest'],
  ]
  for (const [conditions, condition, detail] of cases) {
    const { allowed, because, missing } = explain(
      withGrants(developer(conditions)),
      { ...push, tag: 'latest' },
      context,
    )
    t.equal(allowed, false)
    t.match(because[0], { kind: 'condition', condition, detail, grant: 'g-2' })
    t.ok(missing?.startsWith(`the right to push to team/app has a condition: ${detail}; `), missing ?? '')
  }
  t.equal(explain(withGrants(developer({ tags: 'v*' })), { ...push, tag: 'v1' }, context).allowed, true)
  t.match(explain(withGrants(developer({ tags: 'v*' })), push, context), {
    allowed: true,
    because: [{ conditions: { tags: 'v*' } }],
  })
})

t.test('a disabled account and a revoked token are the first reason, with or without rights', async (t) => {
  for (const [account, question, reason, missing] of [
    [
      { ...withGrants(developer()), state: 'disabled' },
      push,
      { kind: 'account', state: 'disabled' },
      /^the account is disabled/,
    ],
    [{ ...withGrants(), state: 'expired' }, push, { kind: 'account', state: 'expired' }, /has expired/],
    [
      withGrants(developer()),
      { ...push, generation: 2 },
      { kind: 'generation', token: 2, account: 3 },
      /is revoked; request a new token$/,
    ],
  ] as const) {
    const explained = explain(account, question, context)
    t.equal(explained.allowed, false)
    t.match(explained.because[0], reason)
    t.match(explained.missing, missing)
  }
  t.equal(explain(withGrants(developer()), { ...push, generation: 3 }, context).allowed, true)
})

t.test(
  'a personal token is explained by the rights of its owner, its scopes and its conditions',
  async (t) => {
    const scopes = [{ type: 'repository', name: 'team/*', actions: ['pull'] }]
    const of = (limits: Partial<PrincipalRights>): ExplainedAccount => ({
      ...withGrants(),
      kind: 'personal-token',
      rights: { role: 'user', namespaces: ['team'], ...limits },
    })
    const pull = { ...push, action: 'pull' } as const
    t.strictSame(explain(of({ limitedTo: scopes } as never), pull, context), {
      allowed: true,
      because: [
        { kind: 'namespace', namespace: 'team' },
        { kind: 'scope', repositories: 'team/*', actions: ['pull'] },
      ],
      missing: null,
    })
    const beyond = explain(of({ limitedTo: scopes } as never), push, context)
    t.match(beyond, {
      allowed: false,
      because: [{ kind: 'scope', repositories: 'team/*' }, { kind: 'namespace' }],
      missing:
        'the scopes of the personal token do not permit pushing to team/app; its owner can create one with the scope ' +
        'repository:team/app:push',
    })
    const elsewhere = explain(of({ conditions: { networks: ['10.0.0.0/8'] } }), push, context)
    t.match(elsewhere, {
      allowed: false,
      missing: /^the personal token has a condition: it applies to clients in 10\.0\.0\.0\/8 only; its owner/,
    })
    t.strictSame(elsewhere.because, [
      { kind: 'condition', condition: 'networks', detail: 'it applies to clients in 10.0.0.0/8 only' },
    ])
    const tagged = explain(of({ conditions: { tags: 'v*' } }), { ...push, tag: 'latest' }, context)
    t.match(tagged, {
      allowed: false,
      because: [{ kind: 'condition', condition: 'tags' }, { kind: 'namespace' }],
    })
    const robot: ExplainedAccount = {
      ...withGrants(),
      kind: 'registry-token',
      rights: {
        scopes: [{ type: 'repository', name: '*', actions: ['push'] }],
        conditions: { notAfter: EARLIER },
      },
    }
    t.match(explain(robot, push, context), {
      allowed: false,
      missing: `the token has a condition: it ended at ${EARLIER}; a cluster administrator can change it`,
    })
  },
)

/* Few names, so that patterns and repositories meet often. */
const component = fc.constantFrom('a', 'b', 'ab')
const name = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const pattern = fc.oneof(
  name,
  name.map((prefix) => `${prefix}/*`),
  fc.constant('*'),
)
const actions = fc.subarray([...REPOSITORY_ACTIONS], { minLength: 1 })
const conditions = fc.record(
  {
    networks: fc.constantFrom(['10.0.0.0/8'], ['192.0.2.0/24']),
    notBefore: fc.constantFrom(EARLIER, LATER),
    notAfter: fc.constantFrom(EARLIER, LATER),
    tags: fc.constantFrom('v*', '*-rc'),
  },
  { requiredKeys: [] },
)
const grants = fc.array(
  fc
    .record({ repositories: pattern, role: fc.option(fc.constantFrom(...GRANT_ROLES)), actions, conditions })
    .map(({ repositories, role, actions, conditions }): EffectiveGrant => ({
      id: 'g',
      repositories,
      ...(role && { role }),
      actions: role === null ? actions : ACTIONS_OF_ROLE[role],
      conditions,
    })),
  { maxLength: 3 },
)
const scope = fc.record({ type: fc.constant('repository'), name: pattern, actions })
const scopes = fc.array(scope, { maxLength: 2 })
const user = { role: fc.constantFrom(...ROLES), namespaces: fc.array(name, { maxLength: 2 }), grants }
/** Users, personal tokens with and without scopes, registry tokens; tokens with and without conditions. */
const rights: fc.Arbitrary<PrincipalRights> = fc.oneof(
  fc.record(user),
  fc.record({ ...user, conditions }),
  fc.record({ ...user, limitedTo: scopes, conditions }),
  fc.record({ scopes, grants }),
  fc.record({ scopes, grants, conditions }),
)

t.test(
  'an explanation allows exactly the actions that the token endpoint grants, for random rights',
  async (t) => {
    const tag = fc.option(fc.constantFrom('v1', 'latest', 'x-rc'), { nil: undefined })
    const question = fc.record({ repository: name, action: fc.constantFrom(...REPOSITORY_ACTIONS), tag })
    fc.assert(
      fc.property(rights, question, fc.boolean(), (rights, question, isGlobal) => {
        const { repository, action, tag } = question
        const account: ExplainedAccount = { rights, state: 'enabled', generation: 1 }
        const { allowed, because, missing } = explain(account, question, { ...context, isGlobal })
        const requested: Access = { type: 'repository', name: repository, actions: [action] }
        const globals = new Map(isGlobal ? [[repository, undefined]] : [])
        const { access } = grantAccess(rights, [requested], { ...context, globals })
        const isGranted = access.some(
          (entry) =>
            tag === undefined ||
            action !== 'push' ||
            entry.tags === undefined ||
            tagMatchesAll(entry.tags, tag),
        )
        return allowed === isGranted && (missing === null) === allowed && (!allowed || because.length > 0)
      }),
      { numRuns: 20_000 },
    )
    t.pass('20,000 cases')
  },
)
