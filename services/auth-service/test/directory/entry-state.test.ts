import t from 'tap'
import { entryState } from '../../src/directory/entry-state.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
/** 100 nanoseconds since 1601, of a time in milliseconds since 1970. */
const filetime = (ms: number) => String((BigInt(ms) + 11_644_473_600_000n) * 10_000n)

const CASES: readonly (readonly [why: string, attributes: Record<string, string>, state: string])[] = [
  ['an entry that says nothing', {}, 'active'],
  ['a normal account', { useraccountcontrol: '512', accountexpires: '0' }, 'active'],
  ['one that never ends', { useraccountcontrol: '66048', accountexpires: '9223372036854775807' }, 'active'],
  ['disabled', { useraccountcontrol: '514' }, 'disabled'],
  [
    'disabled, and locked too',
    { useraccountcontrol: '514', 'msds-user-account-control-computed': '16' },
    'disabled',
  ],
  ['locked', { useraccountcontrol: '512', 'msds-user-account-control-computed': '16' }, 'locked'],
  [
    'a password that has ended',
    { useraccountcontrol: '512', 'msds-user-account-control-computed': '8388608' },
    'expired',
  ],
  ['ended a moment ago', { accountexpires: filetime(NOW - 1) }, 'expired'],
  ['ends just now', { accountexpires: filetime(NOW) }, 'expired'],
  ['ends in a moment', { accountexpires: filetime(NOW + 1) }, 'active'],
  ['locked for good by OpenLDAP', { pwdaccountlockedtime: '000001010000Z' }, 'disabled'],
  ['locked for a while by OpenLDAP', { pwdaccountlockedtime: '20261121115900Z' }, 'locked'],
  ['ended, in OpenLDAP', { pwdendtime: '20261121115959Z' }, 'expired'],
  ['ended, with a fraction', { pwdendtime: '20261121115959.5Z' }, 'expired'],
  ['ends later, in OpenLDAP', { pwdendtime: '20261121120001Z' }, 'active'],
  [
    'values that nobody understands',
    { useraccountcontrol: 'x', accountexpires: 'y', pwdendtime: 'z' },
    'active',
  ],
]

for (const [why, attributes, state] of CASES) {
  t.test(why, async (t) => {
    const values = new Map(Object.entries(attributes).map(([name, value]) => [name, [value]]))
    t.equal(entryState(values, NOW), state)
  })
}
