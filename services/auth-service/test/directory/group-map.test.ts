import t from 'tap'
import { grantOfGroups, parseGroupMap } from '../../src/directory/group-map.ts'

const BASE = 'DC=example,DC=com'

function parse(map: unknown) {
  const parsed = parseGroupMap(typeof map === 'string' ? map : JSON.stringify(map), BASE)
  if ('faults' in parsed) throw new Error(parsed.faults.join())
  return parsed.map
}

t.test('a group map gives roles and namespaces by normalised group names', async (t) => {
  const map = parse({
    'CN=Developers,OU=Groups,DC=example,DC=com': { role: 'user', namespaces: ['team', 'lab/one'] },
    'CN=Boss,DC=EXAMPLE,DC=COM': { role: 'cluster-administrator' },
    'CN=Guests,DC=example,DC=com': { namespaces: [] },
  })
  t.strictSame(
    [...map],
    [
      ['cn=developers,ou=groups,dc=example,dc=com', { role: 'user', namespaces: ['team', 'lab/one'] }],
      ['cn=boss,dc=example,dc=com', { role: 'cluster-administrator', namespaces: [] }],
      ['cn=guests,dc=example,dc=com', { role: null, namespaces: [] }],
    ],
  )
})

t.test('several groups give the highest role and all namespaces', async (t) => {
  const map = parse({
    'CN=a,DC=example,DC=com': { role: 'user', namespaces: ['team', 'b'] },
    'CN=b,DC=example,DC=com': { role: 'administrator', namespaces: ['team', 'a'] },
    'CN=c,DC=example,DC=com': { namespaces: ['c'] },
    'CN=d,DC=example,DC=com': { role: 'cluster-administrator' },
  })
  const group = (name: string) => `cn=${name},dc=example,dc=com`
  const cases = [
    [['a'], { role: 'user', namespaces: ['b', 'team'] }],
    [['a', 'b'], { role: 'administrator', namespaces: ['a', 'b', 'team'] }],
    [['c', 'd'], { role: 'cluster-administrator', namespaces: ['c'] }],
    [['c', 'x'], { role: null, namespaces: ['c'] }],
    [['x'], undefined],
    [[], undefined],
  ] as const
  for (const [names, grant] of cases) t.strictSame(grantOfGroups(map, names.map(group)), grant, names.join())
  t.equal(
    grantOfGroups(map, ['cn=a', 'cn=a,ou=other,dc=example,dc=com']),
    undefined,
    'a group is known only by its full name',
  )
})

t.test('the faults of a group map are all reported', async (t) => {
  const dn = 'CN=a,DC=example,DC=com'
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['{', /is not valid JSON/],
    ['', /is not valid JSON/],
    [[], /must be a JSON object/],
    ['"x"', /must be a JSON object/],
    [{}, /at least one/],
    [{ developers: { role: 'user' } }, /"developers" is not a distinguished name/],
    [{ 'CN=a,DC=other,DC=com': { role: 'user' } }, /is not below DC=example,DC=com/],
    [{ [dn]: ['team'] }, /must have an object/],
    [{ [dn]: null }, /must have an object/],
    [{ [dn]: {} }, /gives nothing/],
    [{ [dn]: { role: 'admin' } }, /must have one of the roles cluster-administrator/],
    [{ [dn]: { namespace: ['team'] } }, /has the unknown field "namespace"/],
    [{ [dn]: { namespaces: 'team' } }, /must have a list of namespaces/],
    [{ [dn]: { namespaces: ['Team'] } }, /must have a list of namespaces/],
    [{ [dn]: { namespaces: [1] } }, /must have a list of namespaces/],
    [{ [dn]: { role: 'user' }, 'cn=A,dc=example,dc=com': { role: 'user' } }, /occurs twice/],
  ]
  for (const [map, fault] of cases) t.throws(() => parse(map), { message: fault }, JSON.stringify(map))
  t.match(parseGroupMap('{"a":{},"b":{}}', BASE), { faults: [/"a"/, /"b"/] })
})
