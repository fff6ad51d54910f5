import t from 'tap'
import { escapeDnValue, isBeneath, isSameDn, normaliseDn } from '../../src/directory/distinguished-name.ts'

t.test('values of distinguished names are escaped', async (t) => {
  const cases = [
    ['alice', 'alice'],
    ['a,b', String.raw`a\,b`],
    ['a=b+c"d;e<f>g', String.raw`a\=b\+c\"d\;e\<f\>g`],
    [String.raw`a\b`, String.raw`a\\b`],
    ['a\0b', String.raw`a\00b`],
    [' a ', String.raw`\ a\ `],
    [' ', String.raw`\ `],
    ['#a', String.raw`\#a`],
    ['a #b', 'a #b'],
    [String.raw`a` + '\\ ', String.raw`a\\\ `],
    ['ünï (x)*', 'ünï (x)*'],
  ] as const
  for (const [value, escaped] of cases) {
    t.equal(escapeDnValue(value), escaped, JSON.stringify(value))
    t.ok(isSameDn(`CN=${escaped},DC=x`, `cn=${escaped},dc=X`), 'the escaped value is part of a valid name')
  }
})

t.test('an escaped value adds no part to a distinguished name', async (t) => {
  for (const value of ['x,dc=evil', 'x+cn=evil', 'x;dc=evil', '\\', 'x\\', ' ', '#', '"x"', '\0']) {
    const unescaped = normaliseDn(`uid=${escapeDnValue(value)},dc=example`)?.replaceAll(/\\./g, '')
    t.equal(unescaped?.split(/[,+]/).length, 2, JSON.stringify(value))
  }
})

t.test('distinguished names are compared without case, blanks and kind of escaping', async (t) => {
  const same = [
    ['CN=Dev Team,OU=Groups,DC=example,DC=com', 'cn=dev team,ou=groups,dc=EXAMPLE,dc=com'],
    ['CN=Dev Team,DC=com', ' CN = Dev  Team , DC=com '],
    ['CN=a;DC=com', 'CN=a,DC=com'],
    [String.raw`CN=a\,b,DC=com`, String.raw`cn=A\2cB,dc=com`],
    [String.raw`CN=M\C3\BCller,DC=com`, 'cn=MÜLLER,dc=com'],
    [String.raw`CN=a\ ,DC=com`, String.raw`cn=a\20,dc=com`],
    ['CN=a+OU=b,DC=com', 'ou=B + cn=A,dc=com'],
    ['2.5.4.3=a', '2.5.4.3=A'],
    [String.raw`CN=a\\,DC=com`, String.raw`cn=a\5c,dc=com`],
  ] as const
  for (const [one, other] of same) t.ok(isSameDn(one, other), `${one} = ${other}`)
  const different = [
    ['CN=dev,DC=example,DC=com', 'CN=dev,OU=other,DC=example,DC=com'],
    ['CN=dev', 'OU=dev'],
    [String.raw`CN=a\,DC=com`, 'CN=a,DC=com'],
    [String.raw`CN=a\\2c`, String.raw`CN=a\2c`],
    ['CN=a b', 'CN=ab'],
    [String.raw`CN=a\+OU=b`, 'CN=a+OU=b'],
  ] as const
  for (const [one, other] of different) t.notOk(isSameDn(one, other), `${one} ≠ ${other}`)
})

t.test('an invalid distinguished name is never equal to another one', async (t) => {
  for (const text of ['', 'dev', 'CN', 'CN=', '=a', 'CN=a,,DC=b', 'CN=a,', 'CN=a+', '1a=b', 'dev team=a']) {
    t.equal(normaliseDn(text), undefined, JSON.stringify(text))
    t.notOk(isSameDn(text, text))
  }
})

t.test('a distinguished name is below a base only by whole components', async (t) => {
  t.ok(isBeneath('cn=a,dc=example,dc=com', 'dc=example,dc=com'))
  t.ok(isBeneath('dc=com', 'dc=com'))
  t.notOk(isBeneath('cn=a,dc=badexample,dc=com', 'dc=example,dc=com'))
  t.notOk(isBeneath('dc=com', 'dc=example,dc=com'))
})
