import t from 'tap'
import type { Looked } from '../../src/directory/directory.ts'
import { isSameStanding, ownPowersOf, powersOf, standingOf } from '../../src/directory/directory-state.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const MAP = new Map([['cn=dev,dc=x', { role: 'administrator' as const, namespaces: ['team'] }]])
const person = { dn: 'CN=alice,DC=x', state: 'active', groups: ['cn=dev,dc=x'] } as const
const FOUND: Looked = { outcome: 'found', person }
const STANDING = {
  dn: 'CN=alice,DC=x',
  state: 'active',
  role: 'administrator',
  namespaces: ['team'],
} as const

t.test('what is written down of what was found', async (t) => {
  t.strictSame(standingOf(FOUND, MAP), STANDING)
  t.strictSame(standingOf(FOUND, undefined), { ...STANDING, role: null, namespaces: [] })
  t.strictSame(standingOf({ outcome: 'found', person: { ...person, groups: [] } }, MAP), {
    ...STANDING,
    role: null,
    namespaces: [],
  })
  for (const outcome of ['gone', 'ambiguous'] as const) {
    t.strictSame(standingOf({ outcome }, MAP), { dn: null, state: outcome, role: null, namespaces: [] })
  }
})

t.test('the same', async (t) => {
  t.ok(isSameStanding(STANDING, { ...STANDING, namespaces: ['team'] }))
  t.notOk(isSameStanding(undefined, STANDING))
  for (const change of [{ dn: null }, { state: 'locked' }, { role: null }, { namespaces: [] }] as const) {
    t.notOk(isSameStanding(STANDING, { ...STANDING, ...change }), JSON.stringify(change))
  }
})

t.test('what holds', async (t) => {
  const own = { role: 'user', enabled: true, namespaces: ['lab', 'team'] } as const
  t.strictSame(powersOf(own, undefined), own, 'of an account that is not the directory’s: its own')
  t.strictSame(powersOf(own, STANDING), {
    role: 'administrator',
    enabled: true,
    namespaces: ['lab', 'team'],
  })
  t.equal(powersOf({ ...own, role: 'cluster-administrator' }, STANDING).role, 'cluster-administrator')
  t.equal(powersOf({ ...own, enabled: false }, STANDING).enabled, false, 'either may shut somebody out')
  for (const state of ['disabled', 'expired', 'locked', 'gone', 'ambiguous'] as const) {
    t.equal(powersOf(own, { ...STANDING, state }).enabled, false, state)
  }
})

t.test('what administrators gave', async (t) => {
  const { role, enabled, namespaces } = makeAccount({ namespaces: ['a'] })
  t.strictSame(ownPowersOf(makeAccount({ namespaces: ['a'] })), { role, enabled, namespaces })
  const own = { role: 'user', enabled: true, namespaces: [] } as const
  t.strictSame(ownPowersOf(makeAccount({ role: 'cluster-administrator', own })), own)
})
