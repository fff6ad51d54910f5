import t from 'tap'
import { readAccessFile } from '../../apply/read-access-file.ts'

const faultsOf = (text: string) => {
  const file = readAccessFile(text)
  return 'faults' in file ? file.faults.map(({ line, text }) => `${line}: ${text}`) : []
}

const VALID = `# A comment.
users:
  Jane:
    namespaces: [team]
groups:
  developers:
    members: [jane, OMAR]
    mappings:
      - directory: CN=Developers,DC=example,DC=com
  empty:
registryTokens:
  ci-team:
    expiryDate: 2037-06-30T00:00:00Z
    scopes:
      - { type: repository, name: team/*, actions: [pull, push] }
namespaces:
  '*':
    grants:
      - { subject: { kind: user, name: jane }, repositories: alpine, role: reader }
  team:
    grants:
      - subject: { kind: group, name: developers }
        repositories: team/*
        role: developer
        conditions: { networks: [10.0.0.0/8], tags: v* }
    trustRules:
      - name: ci
        issuer: https://ci.example.com
        audience: registry.example.com
        claims: { repository: acme/app }
        scopes: [{ type: repository, name: team/app, actions: [push] }]
`

t.test(
  'an access file gives its entries by name, with names of users and groups in lower case',
  async (t) => {
    const file = readAccessFile(VALID)
    if ('faults' in file) return t.strictSame(file.faults, [])
    t.strictSame([...file.users], [['jane', { namespaces: ['team'] }]])
    t.strictSame([...file.groups.keys()], ['developers', 'empty'])
    t.strictSame(file.groups.get('empty'), {})
    t.match(file.registryTokens.get('ci-team'), { expiryDate: '2037-06-30T00:00:00Z' })
    t.strictSame([...file.namespaces.keys()], ['*', 'team'])
    t.equal(file.lineOf(['users', 'jane', 'namespaces', 0]), 4)
    t.equal(file.lineOf(['namespaces', 'team', 'grants', 0, 'subject', 'name']), 22)
    t.equal(file.lineOf(['namespaces', 'team', 'grants', 0, 'role']), 24)
    t.equal(
      file.lineOf(['namespaces', 'team', 'grants', 9]),
      21,
      'of the list, for an entry that is not there',
    )
  },
)

t.test('every fault of an access file is reported at once, with its line', async (t) => {
  const text = `users:
  jane:
    role: boss
    admin: true
  "no name":
groups:
  Devs:
    members: [jane, jane, "x y"]
  devs:
    mappings: [{ directory: "=" }, { provider: corp }]
registryTokens:
  x:
    scopes: [{ type: repository, name: Team, actions: [] }]
    expiryDate: tomorrow
namespaces:
  team:
    grants:
      - { subject: { kind: user, name: jane }, repositories: other/app, role: reader }
      - { subject: { kind: team, name: jane }, repositories: team/app }
  other:
    grants:
      - { subject: { kind: user, name: jane }, repositories: other/app, actions: [pull], role: reader }
      - { subject: { kind: user, name: jane }, repositories: other/app, actions: [pull] }
      - { subject: { kind: user, name: Jane }, repositories: other/app, actions: [pull] }
      - { subject: { kind: user, name: jane }, repositories: other/b, role: reader, conditions: { networks: [x] } }
  "*":
    grants: []
    trustRules: [{ name: a, issuer: "ftp://x", audience: b, claims: { c: "*" }, scopes: [] }]
grants: []
`
  const faults = faultsOf(text)
  const expected = [
    /^3: user jane: role must be one of cluster-administrator, administrator, user$/,
    /^4: user jane: admin is not a known field; known fields are role, enabled, namespaces, ad, provider, passwordHash$/,
    /^5: the name of the user no name must be 1 to 255 letters/,
    /^8: group Devs: members\.2 must be 1 to 255 letters/,
    /^10: group devs: mappings\.1 must be \{"directory"/,
    /^12: the name of the registry token x must be 2 to 63/,
    /^13: registry token x: scopes\.0\.name must be a repository name/,
    /^13: registry token x: scopes\.0\.actions must be one or more of pull, push, delete/,
    /^14: registry token x: expiryDate must be a time/,
    /^19: namespace team: grants\.1\.subject\.kind must be one of user, group, registry-token/,
    /^22: namespace other: grants\.0\.role is required unless actions is given/,
    /^25: namespace other: grants\.3\.conditions\.networks must have addresses/,
    /^28: namespace \*: trustRules\.0\.scopes must have at least 1 entries/,
    /^29: grants is not a known field; known fields are users, groups, registryTokens, namespaces$/,
  ]
  t.equal(faults.length, expected.length, faults.join('\n'))
  for (const [index, one] of expected.entries()) t.match(faults[index], one)
})

t.test('faults that depend on other fields are reported when the fields are valid', async (t) => {
  const grants = (namespace: string, ...lines: string[]) =>
    faultsOf(
      ['namespaces:', `  ${namespace}:`, '    grants:', ...lines.map((one) => `      - ${one}`)].join('\n'),
    )
  const jane = 'subject: { kind: user, name: jane }'
  t.match(grants('team', `{ ${jane}, repositories: other/app, role: reader }`), [
    /^4: namespace team: grants\.0\.repositories must be in this namespace, such as team\/app or team\/\*$/,
  ])
  const one = `{ ${jane}, repositories: team/app, role: reader }`
  t.match(grants('team', one, one.replace('jane', 'Jane')), [
    /^5: namespace team: grants\.1 is in the list twice: it equals grants\.0$/,
  ])
  t.match(faultsOf('groups:\n  devs:\n    members: [a, B]\n  Devs: {}\n'), [
    /^4: group Devs: there is another/,
  ])
  const rule = 'name: a, issuer: "https://x.test", audience: b, claims: { c: d }'
  const scopes = (name: string) => `scopes: [{ type: repository, name: ${name}, actions: [pull] }]`
  const rules = (namespace: string, name: string) =>
    faultsOf(`namespaces:\n  ${namespace}:\n    trustRules:\n      - { ${rule}, ${scopes(name)} }\n`)
  t.match(rules('team', 'x/*'), [
    /^4: namespace team: trustRules\.0\.scopes\.0\.name must be in the namespace team/,
  ])
  t.match(rules("'*'", 'x/*'), [/^3: namespace \*: trustRules belong to a namespace/])
})

t.test('faults of rules for immutable tags are reported with their lines', async (t) => {
  const rules = (namespace: string, ...lines: string[]) =>
    faultsOf(
      ['namespaces:', `  ${namespace}:`, '    immutability:', ...lines.map((one) => `      - ${one}`)].join(
        '\n',
      ),
    )
  const one = '{ name: releases, repositories: team/*, tags: v* }'
  t.strictSame(rules('team', one), [])
  t.match(rules('team', one, one), [/^5: namespace team: immutability\.1 is in the list twice/])
  t.match(rules('lab', one), [
    /^4: namespace lab: immutability\.0\.repositories must be in this namespace, such as lab/,
  ])
  t.match(rules("'*'", one), [/^3: namespace \*: immutability belongs to a namespace/])
  t.match(rules('team', '{ name: a, repositories: team/*, tags: "a b" }'), [
    /^4: namespace team: immutability\.0\.tags must be 1 to 128 letters/,
  ])
})

t.test('a file that is not YAML, or no object, is a fault with a line', async (t) => {
  t.match(faultsOf('users:\n  jane: {\n'), [/^3: /])
  t.match(faultsOf('users:\n  jane: {}\n  jane: {}\n'), [/^3: .*unique/])
  t.match(faultsOf('namespaces:\n  team:\n    grants: *\n'), [/^3: /], 'an asterisk needs quotes')
  t.match(faultsOf('- users\n'), [/^1: the file must be an object with one or more of users, groups/])
  t.match(faultsOf('users: [jane]\n'), [/^1: users must be an object with the name of each user as a key/])
  t.match(faultsOf(''), [/^1: the file must be an object/])
  const bomb = [
    'a: &a [x, x]',
    ...'bcdefghij'
      .split('')
      .map((n, i) => `${n}: &${n} [*${'abcdefghi'[i]}, *${'abcdefghi'[i]}, *${'abcdefghi'[i]}]`),
  ]
  t.match(faultsOf(bomb.join('\n')), [/alias/i], 'aliases are bounded')
})
