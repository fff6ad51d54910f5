import { REPOSITORY_ACTIONS, permittedByScopes } from '@registry-manager/oci'
import { ACTIONS_OF_ROLE } from '@registry-manager/principal'
import t from 'tap'
import { importDockerAuth } from '../../import/docker-auth.ts'
import type { Imported } from '../../import/imported.ts'

const HASH = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'
const USERS = ['admin', 'test', 'jane']

/** The configuration of docker_auth's own example, shortened to what matters. */
const config = (...acl: string[]) =>
  [
    'server: { addr: ":5001" }',
    'users:',
    ...USERS.map((name) => `  "${name}": { password: "${HASH}" }`),
    'acl:',
    ...acl.map((entry) => `  - ${entry}`),
  ].join('\n')

/** The actions that an import gives a user for a repository, without networks. */
function permitted({ grants, groups }: Imported, username: string, repository: string): string[] {
  const own = [...grants.values()].flat().filter(({ subject, conditions }) => {
    if (conditions !== undefined) return false
    if (subject.kind === 'group') return groups.get(subject.name)?.members?.includes(username)
    return subject.name === username
  })
  const scopes = own.map(({ repositories, role, actions = [] }) => ({
    type: 'repository',
    name: repositories,
    actions: role === undefined ? actions : ACTIONS_OF_ROLE[role],
  }))
  return permittedByScopes(scopes, repository)
}

t.test('entries of an ACL become grants of the users whom they name', async (t) => {
  const imported = importDockerAuth(
    config(
      '{ match: { account: "admin" }, actions: ["*"] }',
      '{ match: { account: "test", name: "lab/tool" }, actions: [pull, push] }',
      '{ match: { account: "jane", ip: "10.0.0.0/8" }, actions: [pull] }',
      '{ match: { account: "/.+/", type: registry, name: catalog }, actions: ["*"] }',
      '{ match: { name: base }, actions: [pull] }',
    ),
    { anyDepth: false },
  )
  t.strictSame(imported.users.get('jane'), { passwordHash: HASH })
  t.strictSame(Object.fromEntries(imported.grants), {
    '*': [
      { subject: { kind: 'user', name: 'admin' }, repositories: '*', role: 'maintainer' },
      { subject: { kind: 'user', name: 'test' }, repositories: 'base', role: 'reader' },
      { subject: { kind: 'user', name: 'jane' }, repositories: 'base', role: 'reader' },
      {
        subject: { kind: 'user', name: 'jane' },
        repositories: '*',
        role: 'reader',
        conditions: { networks: ['10.0.0.0/8'] },
      },
    ],
    lab: [{ subject: { kind: 'user', name: 'test' }, repositories: 'lab/tool', role: 'developer' }],
  })
})

t.test('rights that docker_auth gives to all users become a grant of a group', async (t) => {
  const imported = importDockerAuth(config('{ match: { account: "/.+/" }, actions: [pull] }'), {
    anyDepth: false,
  })
  t.strictSame([...imported.groups], [['docker-auth-users', { members: USERS.toSorted() }]])
  t.strictSame(imported.grants.get('*'), [
    { subject: { kind: 'group', name: 'docker-auth-users' }, repositories: '*', role: 'reader' },
  ])
})

t.test('an entry of an ACL that denies access limits the later entries', async (t) => {
  const acl = [
    '{ match: { account: "test", name: "prod/secret" }, actions: [] }',
    '{ match: { account: "jane", name: "prod/secret" }, actions: [pull] }',
    '{ match: { account: "/.+/" }, actions: ["*"] }',
  ]
  const imported = importDockerAuth(config(...acl), { anyDepth: false })
  t.strictSame(permitted(imported, 'test', 'prod/secret'), [])
  t.strictSame(permitted(imported, 'test', 'prod/other'), [], 'less than before, and reported')
  t.strictSame(permitted(imported, 'jane', 'prod/secret'), ['pull'])
  t.strictSame(permitted(imported, 'jane', 'prod/other'), ['pull'])
  t.strictSame(permitted(imported, 'admin', 'prod/secret'), ['pull', 'push', 'delete'])
  t.match(
    imported.report.join('\n'),
    /acl entry 3 \(line 9\) gives test nothing instead of pull, push, delete/,
  )
})

t.test('an entry of an ACL that cannot be imported limits every later entry', async (t) => {
  const limits = [
    '{ match: { account: "/^te/", name: "lab/x" }, actions: [] }',
    '{ match: { labels: { group: ["a"] } }, actions: [] }',
    '{ match: { service: other }, actions: [] }',
    '{ match: { account: "t*" }, actions: [] }',
    '{ match: { name: "/lab.*/" }, actions: [] }',
    '{ match: { name: }, actions: [] }',
    '{ actions: [] }',
  ]
  for (const limit of limits) {
    const acl = config(limit, '{ match: { account: test, name: lab/x }, actions: [pull] }')
    const imported = importDockerAuth(acl, { anyDepth: true })
    t.strictSame(permitted(imported, 'test', 'lab/x'), [], limit)
    t.match(imported.report.join('\n'), /acl entry 2 .* gives test nothing instead of pull/)
  }
})

t.test('patterns with another meaning in registry-manager are not imported but reported', async (t) => {
  const cases: [string, RegExp][] = [
    ['{ match: { account: test, name: "lab/*" }, actions: [pull] }', /--any-depth/],
    [
      '{ match: { account: test, name: "*" }, actions: [pull] }',
      /no pattern of registry-manager matches the same names as \*/,
    ],
    ['{ match: { account: test, name: "lab/a-*" }, actions: [pull] }', /no pattern of registry-manager/],
    ['{ match: { account: test, name: "/^lab/" }, actions: [pull] }', /regular expression/],
    ['{ match: { account: test, name: "Lab" }, actions: [pull] }', /no valid repository name/],
    ['{ match: { account: "/te.t/" }, actions: [pull] }', /its account \/te\.t\/ is a pattern/],
    [
      '{ match: { account: test, labels: { a: [b] } }, actions: [pull] }',
      /its condition labels has no equivalent in registry-manager|not a list/,
    ],
    ['{ match: { account: test, name: lab/a }, actions: [push] }', /no push without pull/],
  ]
  for (const [entry, reason] of cases) {
    const imported = importDockerAuth(config(entry), { anyDepth: false })
    t.equal(imported.grants.size, 0, entry)
    t.match(imported.report.join('\n'), reason, entry)
  }
})

t.test(
  'a pattern for any depth covers everything below it, except repositories that an earlier entry denies',
  async (t) => {
    const acl = config(
      '{ match: { account: test, name: lab/a/secret }, actions: [pull] }',
      '{ match: { account: "/.+/", name: "${account}/*" }, actions: ["*"] }',
      '{ match: { account: test, name: lab/* }, actions: [pull, push] }',
    )
    const imported = importDockerAuth(acl, { anyDepth: true })
    t.strictSame(permitted(imported, 'jane', 'jane/a/b'), ['pull', 'push', 'delete'])
    t.strictSame(permitted(imported, 'jane', 'test/a'), [])
    t.strictSame(permitted(imported, 'test', 'lab/a/secret'), ['pull'])
    t.strictSame(permitted(imported, 'test', 'lab/a'), ['pull'])
  },
)

t.test('users without a usable hash get a new password, and ambiguous names are not imported', async (t) => {
  const text = `users:
  "": {}
  Jane: { password: "${HASH}" }
  jane: { password: "${HASH}" }
  omar: { password: "$2y$14$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC" }
  open: {}
  "a b": { password: "${HASH}" }
ldap_auth: { addr: ldap.example.com }
acl_mongo: {}
acl:
  - { match: { account: "" }, actions: [pull] }
  - { match: { account: Jane }, actions: [pull] }
  - { match: { account: 007 }, actions: ["*"] }
`
  const { users, report, grants } = importDockerAuth(text, { anyDepth: false })
  t.strictSame(
    [...users],
    [
      ['omar', {}],
      ['open', {}],
    ],
  )
  t.equal(grants.size, 0)
  const all = report.join('\n')
  for (const part of [
    'user jane is not imported: the name differs only in case from Jane',
    'user Jane is not imported',
    'user omar gets a new password: the hash cannot be imported (its cost is above 12',
    'user open gets a new password',
    'user "a b" is not imported',
    'ldap_auth is not imported',
    'acl_mongo is not imported',
    'entries for the account ""',
  ]) {
    t.ok(all.includes(part), part)
  }
})

t.test('an import never permits an action that docker_auth refuses, for any order of entries', async (t) => {
  /** docker_auth's decision: the first entry that matches. */
  const names = ['a/x', 'a/y', 'a/x/z', 'b/x', 'c']
  const patterns = ['', 'a/x', 'a/*', '*/x', 'c', '/.+/', '${account}/*', 'a/x/z', '/a.*/']
  const sets = [[], ['pull'], ['push'], ['pull', 'push'], ['*'], ['delete']]
  const toExpression = (pattern: string) =>
    pattern.startsWith('/')
      ? new RegExp(pattern.slice(1, -1))
      : new RegExp(`^${pattern.replaceAll('*', '[^/]*')}$`)
  const decide = (acl: [string, string, string[]][], account: string, name: string): string[] => {
    for (const [who, pattern, actions] of acl) {
      const isMine = who === '/.+/' || who === account
      const given = pattern.replace('${account}', account)
      if (!isMine || (given !== '' && !toExpression(given).test(name))) continue
      return actions[0] === '*' ? [...REPOSITORY_ACTIONS] : actions
    }
    return []
  }
  let seed = 1
  const pick = <Value>(from: readonly Value[]): Value => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return from[Math.floor((seed / 2_147_483_648) * from.length)] as Value
  }
  for (let round = 0; round < 400; round += 1) {
    const acl = Array.from({ length: 4 }, (): [string, string, string[]] => [
      pick(['/.+/', 'test', 'jane']),
      pick(patterns),
      pick(sets),
    ])
    const entries = acl.map(
      ([account, name, actions]) =>
        `{ match: { account: "${account}"${name === '' ? '' : `, name: "${name}"`} }, actions: ${JSON.stringify(actions)} }`,
    )
    const imported = importDockerAuth(config(...entries), { anyDepth: false })
    for (const account of ['test', 'jane', 'admin']) {
      for (const name of names) {
        const before = decide(acl, account, name)
        const more = permitted(imported, account, name).filter((action) => !before.includes(action))
        if (more.length > 0) return t.fail(`${entries.join('\n')}\n${account} ${name}: ${more.join(', ')}`)
      }
    }
  }
  t.pass('400 lists of entries')
})
