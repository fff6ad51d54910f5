import t from 'tap'
import { entryState } from '../../src/directory/entry-state.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
/** The FILETIME of a time in milliseconds since 1970. */
const filetime = (ms: number) => String((BigInt(ms) + 11_644_473_600_000n) * 10_000n)

const CASES: readonly (readonly [why: string, attributes: Record<string, string>, state: string])[] = [
  ['an entry without state attributes', {}, 'active'],
  ['a normal account', { useraccountcontrol: '512', accountexpires: '0' }, 'active'],
  [
    'an account that never expires',
    { useraccountcontrol: '66048', accountexpires: '9223372036854775807' },
    'active',
  ],
  ['disabled', { useraccountcontrol: '514' }, 'disabled'],
  [
    'disabled and locked',
    { useraccountcontrol: '514', 'msds-user-account-control-computed': '16' },
    'disabled',
  ],
  ['locked', { useraccountcontrol: '512', 'msds-user-account-control-computed': '16' }, 'locked'],
  [
    'an expired password',
    { useraccountcontrol: '512', 'msds-user-account-control-computed': '8388608' },
    'expired',
  ],
  ['an account that expired a moment ago', { accountexpires: filetime(NOW - 1) }, 'expired'],
  ['an account that expires now', { accountexpires: filetime(NOW) }, 'expired'],
  ['an account that expires in a moment', { accountexpires: filetime(NOW + 1) }, 'active'],
  ['locked permanently by OpenLDAP', { pwdaccountlockedtime: '000001010000Z' }, 'disabled'],
  ['locked temporarily by OpenLDAP', { pwdaccountlockedtime: '20261121115900Z' }, 'locked'],
  ['expired in OpenLDAP', { pwdendtime: '20261121115959Z' }, 'expired'],
  ['expired, with a fraction of a second', { pwdendtime: '20261121115959.5Z' }, 'expired'],
  ['expires later in OpenLDAP', { pwdendtime: '20261121120001Z' }, 'active'],
  ['invalid values', { useraccountcontrol: 'x', accountexpires: 'y', pwdendtime: 'z' }, 'active'],
]

for (const [why, attributes, state] of CASES) {
  t.test(`the state of an entry: ${why}`, async (t) => {
    const values = new Map(Object.entries(attributes).map(([name, value]) => [name, [value]]))
    t.equal(entryState(values, NOW), state)
  })
}
