import t from 'tap'
import {
  anyOf,
  escapeFilterValue,
  fillBindTemplate,
  fillFilter,
  groupsOfFilter,
} from '../../../src/directory/ldap/filter.ts'

t.test('values of filters are escaped', async (t) => {
  const cases = [
    ['alice', 'alice'],
    ['*', String.raw`\2a`],
    [')(uid=*', String.raw`\29\28uid=\2a`],
    [String.raw`a\b`, String.raw`a\5cb`],
    ['a\0b', String.raw`a\00b`],
    [String.raw`\2a`, String.raw`\5c2a`],
    ['a&b|c!d=e~f<g>h,i/j', 'a&b|c!d=e~f<g>h,i/j'],
    ['ünï', 'ünï'],
  ] as const
  for (const [value, escaped] of cases) t.equal(escapeFilterValue(value), escaped, JSON.stringify(value))
})

t.test('the username replaces every placeholder of a filter', async (t) => {
  t.equal(fillFilter('(uid={username})', 'alice'), '(uid=alice)')
  t.equal(
    fillFilter('(|(uid={username})(mail={username}))', 'a)(b'),
    String.raw`(|(uid=a\29\28b)(mail=a\29\28b))`,
  )
  t.equal(
    fillFilter('(uid={username})', '$&'),
    '(uid=$&)',
    'replacement patterns in a username have no effect',
  )
  t.equal(
    fillFilter('(uid={username})', '{username}'),
    '(uid={username})',
    'a placeholder in a username is not replaced',
  )
})

t.test('the username is escaped in a distinguished name and unchanged in a principal name', async (t) => {
  t.equal(fillBindTemplate('{username}@example.com', 'alice'), 'alice@example.com')
  t.equal(fillBindTemplate('uid={username},dc=x', 'a,b'), String.raw`uid=a\,b,dc=x`)
  t.equal(fillBindTemplate('uid={username},dc=x', '$&'), 'uid=$&,dc=x')
})

t.test('one filter finds the mapped groups of a member', async (t) => {
  const rule = 'member:1.2.840.113556.1.4.1941:'
  const dn = 'CN=Al (x)*,DC=com'
  t.equal(
    groupsOfFilter(dn, ['cn=a,dc=com']),
    String.raw`(&(objectClass=group)(${rule}=CN=Al \28x\29\2a,DC=com)(distinguishedName=cn=a,dc=com))`,
  )
  t.equal(
    groupsOfFilter('CN=a', ['cn=a', 'cn=(b)']),
    String.raw`(&(objectClass=group)(${rule}=CN=a)(|(cn=a)(cn=\28b\29)))`,
  )
})

t.test('anyOf joins filters into one that matches if any of them does', async (t) => {
  t.equal(anyOf(['(a=b)']), '(a=b)')
  t.equal(anyOf(['(a=b)', '(c=d)']), '(|(a=b)(c=d))')
})

t.test('a mapped group can be named by its common name', async (t) => {
  t.match(groupsOfFilter('CN=a,DC=com', ['cn=dev\\, ops']), '(cn=dev, ops)')
})
