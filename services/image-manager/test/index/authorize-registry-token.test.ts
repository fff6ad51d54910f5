import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import type { Verdict } from '../../src/management-api/authorize.ts'
import { authorize, mayList } from '../../src/management-api/authorize.ts'
import { catalogVisibility, managementVisibility } from '../../src/index/visibility.ts'

/*
 * The last column of design.md, "Who may do what": a registry token sees what it may pull, and changes nothing
 * through image management, whatever its scopes are.
 */
const scope = (name: string, ...actions: string[]): Access => ({ type: 'repository', name, actions })
const context = { address: '192.0.2.7', now: 0 }
const account = {
  scopes: [scope('team/*', 'pull'), scope('other/app', 'push', 'delete'), scope('lab/*', 'delete')],
}
const EVERYTHING = { scopes: [scope('*', 'pull', 'push', 'delete')] }

const CASES: readonly (readonly [repository: string, global: boolean, get: Verdict, change: Verdict])[] = [
  ['team/app', false, 'allowed', 'forbidden'],
  ['team/a/b', true, 'allowed', 'forbidden'],
  ['other/app', false, 'allowed', 'forbidden'],
  ['other/app2', true, 'not-visible', 'not-visible'],
  ['lab/app', false, 'not-visible', 'not-visible'],
  ['team', true, 'not-visible', 'not-visible'],
]

t.test(
  'a registry token with a password may get the repositories that it may pull, and may change nothing',
  async (t) => {
    for (const [repository, global, get, change] of CASES) {
      const where = global ? 'global' : 'namespace'
      t.equal(
        authorize({ rights: account, access: null, context }, 'get', repository, where),
        get,
        `get ${repository}`,
      )
      for (const action of ['set-scope', 'delete'] as const) {
        t.equal(
          authorize({ rights: account, access: null, context }, action, repository, where),
          change,
          `${action} ${repository}`,
        )
        const verdict = authorize({ rights: EVERYTHING, access: null, context }, action, repository, where)
        t.equal(verdict, 'forbidden', `${action} ${repository} with every scope`)
      }
      t.equal(
        authorize({ rights: account, access: null, context }, 'get', repository, undefined),
        'not-visible',
        'a repository that does not exist is not visible',
      )
    }
  },
)

t.test(
  'an access token of a registry token permits no more than its own access and the token’s scopes',
  async (t) => {
    const cases = [
      [[repositoryAccess('team/app', 'pull')], 'team/app', 'allowed'],
      [[repositoryAccess('team/app', 'push')], 'team/app', 'allowed'],
      [[repositoryAccess('team/app', 'delete')], 'team/app', 'insufficient'],
      [[{ type: 'registry', name: 'catalog', actions: ['*'] }], 'team/app', 'insufficient'],
      [[{ type: 'registry', name: 'catalog', actions: ['*'] }], 'lab/app', 'not-visible'],
      [[repositoryAccess('team/app', 'pull')], 'team/other', 'not-visible'],
      [[repositoryAccess('lab/app', 'pull')], 'lab/app', 'not-visible'],
      [[], 'team/app', 'not-visible'],
    ] as const
    for (const [access, repository, get] of cases) {
      t.equal(
        authorize({ rights: account, access, context }, 'get', repository, 'namespace'),
        get,
        JSON.stringify(access),
      )
      t.not(authorize({ rights: account, access, context }, 'delete', repository, 'namespace'), 'allowed')
    }
    t.equal(mayList({ rights: account, access: null, context }), true)
    t.equal(mayList({ rights: account, access: [repositoryAccess('team/app', 'pull')], context }), false)
  },
)

t.test(
  'a registry token lists the repositories that it may pull, in the catalog and in image management',
  async (t) => {
    const visible = { kind: 'patterns', patterns: ['team/*', 'other/app'], global: false }
    t.strictSame(catalogVisibility(account, context), visible)
    t.strictSame(managementVisibility(account, context), visible)
  },
)
