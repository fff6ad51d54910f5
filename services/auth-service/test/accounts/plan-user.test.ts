import t from 'tap'
import type { Role } from '@registry-manager/principal'
import type { UserChangeInput } from '../../src/accounts/plan-user.ts'
import { planNewUser, planUserChange, raisesGeneration } from '../../src/accounts/plan-user.ts'
import type { NewUserInput } from '../../src/accounts/user-input.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const password = 'a-good-password'
const plan = { username: 'alice', directory: false, role: 'user', enabled: true, namespaces: [], password }

const NEW: readonly (readonly [why: string, input: NewUserInput, expected: object])[] = [
  ['a user', { username: 'alice', password }, { plan }],
  ['ad=false, the default', { username: 'alice', password, ad: false }, { plan }],
  [
    'admin=true',
    { username: 'alice', password, admin: true },
    { plan: { ...plan, role: 'cluster-administrator' } },
  ],
  ['admin=false', { username: 'alice', password, admin: false }, { plan }],
  [
    'a role',
    { username: 'alice', password, role: 'administrator' },
    { plan: { ...plan, role: 'administrator' } },
  ],
  [
    'role and admin that mean the same',
    { username: 'alice', password, role: 'cluster-administrator', admin: true },
    { plan: { ...plan, role: 'cluster-administrator' } },
  ],
  [
    'a role and admin=false that mean the same',
    { username: 'alice', password, role: 'administrator', admin: false },
    { plan: { ...plan, role: 'administrator' } },
  ],
  ['disabled', { username: 'alice', password, enabled: false }, { plan: { ...plan, enabled: false } }],
  [
    'namespaces',
    { username: 'alice', password, namespaces: ['a'] },
    { plan: { ...plan, namespaces: ['a'] } },
  ],
  [
    'namespaces, which are a sorted set',
    { username: 'alice', password, namespaces: ['b/c', 'a', 'b/c'] },
    { plan: { ...plan, namespaces: ['a', 'b/c'] } },
  ],
  [
    'the hash of another system',
    { username: 'alice', password_hash: 'the hash' },
    { plan: { ...plan, password: null, passwordHash: 'the hash' } },
  ],
  [
    'a hash and a password',
    { username: 'alice', password, password_hash: 'the hash' },
    { fault: { field: 'password_hash' } },
  ],
  ['no password', { username: 'alice' }, { fault: { field: 'password' } }],
  ['a short password', { username: 'alice', password: 'short' }, { fault: { field: 'password' } }],
  [
    'the username as a password',
    { username: 'alice-alice', password: 'Alice-Alice' },
    { fault: { field: 'password' } },
  ],
  [
    'a directory user with a password, which is ignored',
    { username: 'alice', ad: true, password: 'short' },
    { plan: { ...plan, directory: true, password: null } },
  ],
  [
    'role and admin that contradict each other',
    { username: 'alice', password, role: 'user', admin: true },
    { fault: { field: 'role' } },
  ],
  [
    'cluster-administrator and admin=false',
    { username: 'alice', password, role: 'cluster-administrator', admin: false },
    { fault: { field: 'role' } },
  ],
]

t.test('POST /user is planned from its fields', async (t) => {
  for (const [why, input, expected] of NEW) t.match(planNewUser(input), expected, why)
})

const CHANGES: readonly (readonly [why: string, role: Role, input: UserChangeInput, change: object])[] = [
  ['nothing', 'administrator', {}, {}],
  ['admin=true', 'user', { admin: true }, { role: 'cluster-administrator' }],
  ['admin=true of an administrator', 'administrator', { admin: true }, { role: 'cluster-administrator' }],
  ['admin=false of a cluster administrator', 'cluster-administrator', { admin: false }, { role: 'user' }],
  ['a role', 'user', { role: 'administrator' }, { role: 'administrator' }],
  ['enabled=false', 'user', { enabled: false }, { enabled: false }],
  ['namespaces', 'user', { namespaces: ['a'] }, { namespaces: ['a'] }],
  ['several namespaces', 'user', { namespaces: ['b', 'a', 'b'] }, { namespaces: ['a', 'b'] }],
  ['no namespaces', 'user', { namespaces: [] }, { namespaces: [] }],
]

t.test('PATCH /user overwrites the given fields', async (t) => {
  for (const [why, role, input, change] of CHANGES) {
    t.match(planUserChange(makeAccount({ role }), input), { change }, why)
  }
  t.match(planUserChange(makeAccount(), { password }), { change: { password } }, 'a password')
})

t.test('PATCH /user leaves other fields unchanged, even those of a concurrent change', async (t) => {
  for (const role of ['user', 'administrator', 'cluster-administrator'] as const) {
    const current = makeAccount({ role })
    t.strictSame(
      planUserChange(current, { enabled: false }),
      { change: { enabled: false } },
      `${role}: enabled`,
    )
    t.strictSame(
      planUserChange(current, { namespaces: ['a'] }),
      { change: { namespaces: ['a'] } },
      `${role}: namespaces`,
    )
    const planned = planUserChange(current, { password })
    t.notOk(
      'change' in planned && 'role' in planned.change,
      `${role}: a change of the password does not change the role`,
    )
  }
})

t.test('admin=false does not change roles other than cluster-administrator', async (t) => {
  for (const role of ['user', 'administrator'] as const) {
    const planned = planUserChange(makeAccount({ role }), { admin: false })
    t.ok('change' in planned && (planned.change.role ?? role) === role, role)
  }
})

t.test('PATCH /user refuses invalid fields', async (t) => {
  const cases: readonly (readonly [UserChangeInput, string])[] = [
    [{ password: 'short' }, 'password'],
    [{ password: 'alice-alice' }, 'password'],
    [{ role: 'user', admin: true }, 'role'],
  ]
  for (const [input, field] of cases) {
    t.match(planUserChange(makeAccount({ username: 'alice-alice' }), input), { fault: { field } }, field)
  }
})

t.test('a directory user has no local password', async (t) => {
  const current = makeAccount({ directory: true, passwordHash: null })
  const ignored = planUserChange(current, { password: 'whatever' })
  t.ok('change' in ignored && ignored.change.password === undefined, 'a password is ignored')
  t.match(
    planUserChange(current, { ad: false }),
    { fault: { field: 'password' } },
    'a password is required to become a local user',
  )
  const leaving = planUserChange(current, { ad: false, password })
  t.strictSame(
    leaving,
    { change: { directory: false, password, directoryState: undefined } },
    'the directory state is removed',
  )
  const entering = planUserChange(makeAccount(), { ad: true, password, namespaces: ['a'] })
  t.strictSame(
    entering,
    { change: { directory: true, password: null, namespaces: ['a'] } },
    'a user who becomes a directory user loses the local password',
  )
})

t.test('administrators cannot take away rights that groups give', async (t) => {
  const own = { role: 'user', enabled: true, namespaces: ['a'] } as const
  const directoryState = {
    dn: 'CN=alice',
    state: 'active',
    role: 'cluster-administrator',
    namespaces: ['b'],
  } as const
  const role = 'cluster-administrator'
  const current = makeAccount({ directory: true, role, namespaces: ['a', 'b'], own, directoryState })
  t.strictSame(planUserChange(current, { admin: false }), { change: {} }, 'admin=false changes nothing')
  t.strictSame(planUserChange(current, { role: 'user' }), { change: { role: 'user' } })
  const cases = [
    [{ role: 'user' }, false, 'it stays a cluster administrator'],
    [{ namespaces: ['a', 'b'] }, false, 'given twice is given once'],
    [{ namespaces: [] }, true, 'its own are taken'],
    [{ directoryState: { ...directoryState, dn: 'CN=alice,OU=moved' } }, false, 'it was moved'],
    [{ directoryState: { ...directoryState, role: null } }, true, 'a group less'],
    [{ directoryState: { ...directoryState, namespaces: ['b', 'c'] } }, true, 'a group more'],
    [{ directoryState: { ...directoryState, state: 'locked' } }, true, 'it was locked'],
    [{ directoryState: undefined }, true, 'it leaves the directory'],
  ] as const
  for (const [change, raises, why] of cases) t.equal(raisesGeneration(current, change), raises, why)
})

t.test('a change of the password or of the effective rights raises the generation', async (t) => {
  const current = makeAccount({ namespaces: ['a', 'b'] })
  const cases = [
    [{}, false],
    [{ role: 'user' }, false],
    [{ enabled: true }, false],
    [{ namespaces: ['a', 'b'] }, false],
    [{ role: 'administrator' }, true],
    [{ enabled: false }, true],
    [{ namespaces: ['a'] }, true],
    [{ namespaces: [] }, true],
    [{ namespaces: ['a', 'b', 'c'] }, true],
    [{ password }, true],
  ] as const
  for (const [change, raises] of cases)
    t.equal(raisesGeneration(current, change), raises, JSON.stringify(change))
})
