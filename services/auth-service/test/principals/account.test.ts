import t from 'tap'
import type { DirectoryState } from '../../src/principals/account.ts'
import { effectiveRights, isClusterAdministrator, ownRightsOf } from '../../src/principals/account.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const STATE: DirectoryState = {
  dn: 'CN=alice,DC=x',
  state: 'active',
  role: 'administrator',
  namespaces: ['team'],
}

t.test('effective rights combine those of administrators and of groups', async (t) => {
  const own = { role: 'user', enabled: true, namespaces: ['lab', 'team'] } as const
  t.strictSame(effectiveRights(own, undefined), own, 'a local user has only own rights')
  t.strictSame(effectiveRights(own, STATE), {
    role: 'administrator',
    enabled: true,
    namespaces: ['lab', 'team'],
  })
  t.equal(effectiveRights({ ...own, role: 'cluster-administrator' }, STATE).role, 'cluster-administrator')
})

t.test('a user is disabled if an administrator or the directory disables the user', async (t) => {
  const own = { role: 'user', enabled: true, namespaces: [] } as const
  t.equal(effectiveRights({ ...own, enabled: false }, STATE).enabled, false)
  for (const state of ['disabled', 'expired', 'locked', 'gone', 'ambiguous'] as const) {
    t.equal(effectiveRights(own, { ...STATE, state }).enabled, false, state)
  }
})

t.test('own rights are those that administrators gave', async (t) => {
  const { role, enabled, namespaces } = makeAccount({ namespaces: ['a'] })
  t.strictSame(ownRightsOf(makeAccount({ namespaces: ['a'] })), { role, enabled, namespaces })
  const own = { role: 'user', enabled: true, namespaces: [] } as const
  t.strictSame(ownRightsOf(makeAccount({ role: 'cluster-administrator', own })), own)
})

t.test('a cluster administrator counts as one only while enabled', async (t) => {
  t.equal(isClusterAdministrator({ role: 'cluster-administrator', enabled: true }), true)
  t.equal(isClusterAdministrator({ role: 'cluster-administrator', enabled: false }), false)
  t.equal(isClusterAdministrator({ role: 'administrator', enabled: true }), false)
})
