import t from 'tap'
import type { DirectoryLookup } from '../../src/directory/directory.ts'
import { directoryStateOf, isSameDirectoryState } from '../../src/directory/directory-state.ts'

const MAP = new Map([['cn=dev,dc=x', { role: 'administrator' as const, namespaces: ['team'] }]])
const entry = { dn: 'CN=alice,DC=x', state: 'active', groups: ['cn=dev,dc=x'] } as const
const FOUND: DirectoryLookup = { outcome: 'found', entry }
const STATE = {
  dn: 'CN=alice,DC=x',
  state: 'active',
  role: 'administrator',
  namespaces: ['team'],
} as const

t.test('a directory state has the name, the state and the grants of the entry that was found', async (t) => {
  t.strictSame(directoryStateOf(FOUND, MAP), STATE)
  t.strictSame(directoryStateOf(FOUND, undefined), { ...STATE, role: null, namespaces: [] })
  t.strictSame(directoryStateOf({ outcome: 'found', entry: { ...entry, groups: [] } }, MAP), {
    ...STATE,
    role: null,
    namespaces: [],
  })
})

t.test(
  'the directory state of a user with no entry or with several entries gives no role and no namespaces',
  async (t) => {
    for (const outcome of ['gone', 'ambiguous'] as const) {
      t.strictSame(directoryStateOf({ outcome }, MAP), {
        dn: null,
        state: outcome,
        role: null,
        namespaces: [],
      })
    }
  },
)

t.test('directory states are the same if no field differs', async (t) => {
  t.ok(isSameDirectoryState(STATE, { ...STATE, namespaces: ['team'] }))
  t.notOk(isSameDirectoryState(undefined, STATE))
  for (const change of [{ dn: null }, { state: 'locked' }, { role: null }, { namespaces: [] }] as const) {
    t.notOk(isSameDirectoryState(STATE, { ...STATE, ...change }), JSON.stringify(change))
  }
})
