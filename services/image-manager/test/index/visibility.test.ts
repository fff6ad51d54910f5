import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import type { EffectiveGrant, Role, UserRights } from '@registry-manager/principal'
import type { Verdict } from '../../src/management-api/authorize.ts'
import { authorize, mayList } from '../../src/management-api/authorize.ts'
import type { RepositoryScope } from '../../src/index/repository.ts'
import { catalogVisibility, managementVisibility, outermost } from '../../src/index/visibility.ts'

/*
 * The rights of design.md, "Who may do what", as a table: principal, access of the token, and repository. One letter
 * for each action, in the order of ACTIONS:
 * y allowed, n forbidden (403), i insufficient (403: the token has less access than the account), - not visible (404).
 */
const LETTERS: Readonly<Record<string, Verdict>> = {
  y: 'allowed',
  n: 'forbidden',
  i: 'insufficient',
  '-': 'not-visible',
}
const ACTIONS = ['get', 'set-scope', 'delete'] as const

type Where = 'own' | 'global foreign' | 'foreign' | 'absent'

const TABLE: Readonly<Record<string, Readonly<Record<'user' | 'manager', Readonly<Record<Where, string>>>>>> =
  {
    identity: {
      user: { own: 'yyy', 'global foreign': 'ynn', foreign: '---', absent: '---' },
      manager: { own: 'yyy', 'global foreign': 'yyy', foreign: 'yyy', absent: '---' },
    },
    pull: {
      user: { own: 'yii', 'global foreign': 'ynn', foreign: '---', absent: '---' },
      manager: { own: 'yii', 'global foreign': 'yii', foreign: 'yii', absent: '---' },
    },
    'push, which includes pull': {
      user: { own: 'yii', 'global foreign': 'ynn', foreign: '---', absent: '---' },
      manager: { own: 'yii', 'global foreign': 'yii', foreign: 'yii', absent: '---' },
    },
    delete: {
      user: { own: 'iiy', 'global foreign': 'inn', foreign: '---', absent: '---' },
      manager: { own: 'iiy', 'global foreign': 'iiy', foreign: 'iiy', absent: '---' },
    },
    'everything of the repository': {
      user: { own: 'yiy', 'global foreign': 'ynn', foreign: '---', absent: '---' },
      manager: { own: 'yiy', 'global foreign': 'yiy', foreign: 'yiy', absent: '---' },
    },
    // The principal may list the repositories, so it may know that they exist.
    catalog: {
      user: { own: 'iii', 'global foreign': 'inn', foreign: '---', absent: '---' },
      manager: { own: 'iii', 'global foreign': 'iii', foreign: 'iii', absent: '---' },
    },
    nothing: {
      user: { own: '---', 'global foreign': '---', foreign: '---', absent: '---' },
      manager: { own: '---', 'global foreign': '---', foreign: '---', absent: '---' },
    },
    'everything of another repository': {
      user: { own: '---', 'global foreign': '---', foreign: '---', absent: '---' },
      manager: { own: '---', 'global foreign': '---', foreign: '---', absent: '---' },
    },
  }

const context = { address: '10.1.2.3', now: Date.parse('2027-03-01T12:00:00Z') }
const CATALOG: Access = { type: 'registry', name: 'catalog', actions: ['*'] }
const ACCESS: Readonly<Record<string, (repository: string) => readonly Access[] | null>> = {
  identity: () => null,
  pull: (repository) => [repositoryAccess(repository, 'pull')],
  'push, which includes pull': (repository) => [repositoryAccess(repository, 'push')],
  delete: (repository) => [repositoryAccess(repository, 'delete')],
  'everything of the repository': (repository) => [repositoryAccess(repository, 'pull', 'push', 'delete')],
  catalog: () => [CATALOG],
  nothing: () => [],
  'everything of another repository': (repository) => [
    repositoryAccess(`${repository}2`, 'pull', 'push', 'delete'),
  ],
}

const REPOSITORIES: Readonly<Record<Where, readonly [name: string, scope: RepositoryScope | undefined]>> = {
  own: ['team/app', 'namespace'],
  'global foreign': ['other/app', 'global'],
  foreign: ['other/app', 'namespace'],
  absent: ['team/none', undefined],
}

const ROLES: Readonly<Record<Role, 'user' | 'manager'>> = {
  'cluster-administrator': 'manager',
  administrator: 'manager',
  user: 'user',
}

const account = (role: Role): UserRights => ({ role, namespaces: ['team'] })

for (const [role, kind] of Object.entries(ROLES) as [Role, 'user' | 'manager'][]) {
  for (const [given, expected] of Object.entries(TABLE)) {
    for (const [where, [name, scope]] of Object.entries(REPOSITORIES) as [
      Where,
      (typeof REPOSITORIES)[Where],
    ][]) {
      const access = ACCESS[given]?.(name) ?? null
      for (const [at, action] of ACTIONS.entries()) {
        const verdict = LETTERS[expected[kind][where].charAt(at)]
        t.equal(
          authorize({ rights: account(role), access, context }, action, name, scope),
          verdict,
          `${role} with ${given}: ${action} of ${where} repository is ${verdict}`,
        )
      }
    }
  }
}

for (const given of Object.keys(ACCESS)) {
  const may = given === 'identity' || given === 'catalog'
  for (const role of Object.keys(ROLES) as Role[]) {
    const access = ACCESS[given]?.('team/app') ?? null
    t.equal(mayList({ rights: account(role), access, context }), may, `${role} with ${given}: list is ${may}`)
  }
}

t.test('a user may change a global repository of their own namespace', async (t) => {
  const principal = { rights: account('user'), access: null, context }
  for (const action of ACTIONS) t.equal(authorize(principal, action, 'team/app', 'global'), 'allowed', action)
})

t.test('a repository without a slash belongs to no namespace', async (t) => {
  const user = { rights: { role: 'user' as const, namespaces: ['alpine', 'team'] }, access: null, context }
  for (const action of ACTIONS) {
    t.equal(
      authorize(user, action, 'alpine', 'namespace'),
      'not-visible',
      `${action} of a private repository`,
    )
  }
  t.equal(authorize(user, 'get', 'alpine', 'global'), 'allowed')
  t.equal(authorize(user, 'delete', 'alpine', 'global'), 'forbidden')
})

t.test('a namespace of several components covers the repository of its own name', async (t) => {
  const user = { rights: { role: 'user' as const, namespaces: ['team1/app'] }, access: null, context }
  for (const action of ACTIONS) {
    t.equal(
      authorize(user, action, 'team1/app', 'namespace'),
      'allowed',
      `${action} of the repository itself`,
    )
    t.equal(
      authorize(user, action, 'team1/app/x', 'namespace'),
      'allowed',
      `${action} of a repository below it`,
    )
    t.equal(
      authorize(user, action, 'team1/app2', 'namespace'),
      'not-visible',
      `${action} of another repository`,
    )
  }
})

t.test(
  'administrators list every repository in image management, and those of their namespaces in the catalog',
  async (t) => {
    const [all, own] = [{ kind: 'all' }, { kind: 'patterns', patterns: ['team/*'], global: true }]
    t.same(managementVisibility(account('user'), context), own)
    t.same(managementVisibility(account('administrator'), context), all)
    t.same(managementVisibility(account('cluster-administrator'), context), all)
    t.same(catalogVisibility(account('user'), context), own)
    t.same(catalogVisibility(account('administrator'), context), own)
    t.same(catalogVisibility(account('cluster-administrator'), context), all)
  },
)

for (const [namespaces, expected] of [
  [[], []],
  [['team'], ['team']],
  [
    ['b', 'a'],
    ['a', 'b'],
  ],
  [['a', 'a/b', 'a', 'a/b/c'], ['a']],
  [
    ['a/b/c', 'a/b', 'x', 'a'],
    ['a', 'x'],
  ],
  [
    ['a/b', 'a/bc', 'a/b/d', 'a/c'],
    ['a/b', 'a/bc', 'a/c'],
  ],
  // All of `a-b/…` comes before all of `a/…`, though `a` comes before `a-b`.
  [
    ['a', 'a-b', 'a.b', 'a0', 'a_b', 'a/b', 'ab'],
    ['a-b', 'a.b', 'a', 'a0', 'a_b', 'ab'],
  ],
] as const) {
  t.same(outermost(namespaces), expected, `outermost of ${namespaces.join(', ') || 'none'}`)
}

t.test('a grant shows repositories, and the right to delete them permits to change them', async (t) => {
  const grant = (
    repositories: string,
    actions: EffectiveGrant['actions'],
    conditions = {},
  ): EffectiveGrant => ({
    id: 'g',
    repositories,
    actions,
    conditions,
  })
  const jane: UserRights = {
    role: 'user',
    namespaces: [],
    grants: [
      grant('team/app', ['pull']),
      grant('lab/*', ['pull', 'push', 'delete']),
      grant('office/*', ['pull'], { networks: ['192.0.2.0/24'] }),
    ],
  }
  const visible = { kind: 'patterns', patterns: ['team/app', 'lab/*'], global: true }
  t.strictSame(catalogVisibility(jane, context), visible)
  t.strictSame(managementVisibility(jane, context), visible)
  const there = { ...context, address: '192.0.2.1' }
  t.match(catalogVisibility(jane, there), { patterns: ['team/app', 'lab/*', 'office/*'] })
  const verdict = (action: (typeof ACTIONS)[number], repository: string) =>
    authorize({ rights: jane, access: null, context }, action, repository, 'namespace')
  t.equal(verdict('get', 'team/app'), 'allowed')
  t.equal(verdict('delete', 'team/app'), 'forbidden')
  t.equal(verdict('set-scope', 'lab/app'), 'allowed')
  t.equal(verdict('delete', 'lab/app'), 'allowed')
  t.equal(verdict('get', 'office/app'), 'not-visible')
  t.equal(verdict('get', 'team/other'), 'not-visible')
})

t.test(
  'a token whose condition does not hold sees nothing, also if its owner may see everything',
  async (t) => {
    const limited = { namespaces: ['team'], conditions: { networks: ['192.0.2.0/24'] } }
    const nothing = { kind: 'patterns', patterns: [], global: false }
    for (const role of ['cluster-administrator', 'administrator', 'user'] as const) {
      t.strictSame(catalogVisibility({ ...limited, role }, context), nothing, role)
      t.strictSame(managementVisibility({ ...limited, role }, context), nothing, role)
    }
    const there = { ...context, address: '192.0.2.1' }
    t.strictSame(managementVisibility({ ...limited, role: 'administrator' }, there), { kind: 'all' })
  },
)
