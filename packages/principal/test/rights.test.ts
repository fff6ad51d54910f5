import t from 'tap'
import type { EffectiveGrant, PrincipalRights } from '../src/rights.ts'
import { mayManageNamespace } from '../src/rights.ts'

const context = { address: '192.0.2.7', now: Date.parse('2027-03-01T12:00:00Z') }

function owner(repositories: string, more: Partial<EffectiveGrant> = {}): PrincipalRights {
  const actions = ['pull', 'push', 'delete'] as const
  const grant: EffectiveGrant = { id: 'g', repositories, role: 'owner', actions, ...more }
  return { role: 'user', namespaces: [], grants: [grant] }
}

const limited = { limitedTo: [{ type: 'repository', name: '*', actions: ['push'] }] }

t.test('a namespace is managed by cluster administrators, its administrators and its owners', async (t) => {
  const cases: readonly (readonly [why: string, PrincipalRights, namespace: string, boolean])[] = [
    ['a cluster administrator', { role: 'cluster-administrator', namespaces: [] }, 'team', true],
    ['an administrator of the namespace', { role: 'administrator', namespaces: ['team'] }, 'team', true],
    ['an administrator of the outer one', { role: 'administrator', namespaces: ['team'] }, 'team/app', true],
    ['an administrator of an inner one', { role: 'administrator', namespaces: ['team/app'] }, 'team', false],
    ['an administrator of another one', { role: 'administrator', namespaces: ['teams'] }, 'team', false],
    ['a user of the namespace', { role: 'user', namespaces: ['team'] }, 'team', false],
    ['an owner of all of it', owner('team/*'), 'team', true],
    ['an owner of the outer one', owner('team/*'), 'team/app', true],
    ['an owner of everything', owner('*'), 'team', true],
    ['an owner of one repository', owner('team/app'), 'team', false],
    ['an owner of a repository named like the namespace', owner('team/app'), 'team/app', false],
    ['an owner of another one', owner('teams/*'), 'team', false],
    ['a maintainer', owner('team/*', { role: 'maintainer' }), 'team', false],
    ['an owner elsewhere', owner('team/*', { conditions: { networks: ['10.0.0.0/8'] } }), 'team', false],
    ['a registry token', { scopes: [{ type: 'repository', name: '*', actions: ['push'] }] }, 'team', false],
    [
      'a registry token that owns all of it',
      { scopes: [], grants: owner('team/*').grants ?? [] },
      'team',
      false,
    ],
    [
      'an owner by a token for elsewhere',
      { ...owner('*'), conditions: { networks: ['10.0.0.0/8'] } },
      'team',
      false,
    ],
    [
      'an owner by a token for here',
      { ...owner('*'), conditions: { networks: ['192.0.2.0/24'] } },
      'team',
      true,
    ],
    ['an owner by a token with scopes', { ...owner('*'), ...limited }, 'team', false],
    [
      'an administrator by such a token',
      { role: 'administrator', namespaces: ['team'], ...limited },
      'team',
      false,
    ],
  ]
  for (const [why, rights, namespace, expected] of cases) {
    t.equal(mayManageNamespace(rights, namespace, context), expected, `${why}: ${namespace}`)
  }
})
