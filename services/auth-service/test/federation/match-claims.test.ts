import t from 'tap'
import { matchesClaims } from '../../src/federation/match-claims.ts'

const matchesPattern = (pattern: string, value: string) => matchesClaims({ claim: pattern }, { claim: value })

const CASES: readonly (readonly [pattern: string, text: string, isMatch: boolean])[] = [
  ['refs/heads/main', 'refs/heads/main', true],
  ['refs/heads/main', 'refs/heads/main2', false],
  ['refs/heads/*', 'refs/heads/', true],
  ['refs/heads/*', 'refs/heads/feature/a', true],
  ['refs/heads/*', 'refs/tags/v1', false],
  ['*', '', true],
  ['**', 'a', true],
  ['acme/*:ref:*', 'acme/app:ref:refs/heads/main', true],
  ['acme/*:ref:*', 'acme/app', false],
  ['*/app', 'acme/app', true],
  ['*/app', 'acme/apps', false],
  ['a*a', 'a', false],
  ['a*a', 'aa', true],
  ['ab*ba', 'aba', false],
  ['a*b*c', 'aXbYbZc', true],
  ['a*bc*c', 'abc', false],
  ['a*bc*c', 'abcc', true],
  ['refs/heads/v?', 'refs/heads/v1', false],
  ['a.c', 'abc', false],
  ['', '', true],
  ['', 'a', false],
  ['A', 'a', false],
]

t.test('a claim pattern matches exactly, and * matches any characters', async (t) => {
  for (const [pattern, text, isMatch] of CASES) {
    t.equal(matchesPattern(pattern, text), isMatch, `${pattern} and ${text}`)
  }
})

t.test('a claim pattern agrees with a regular expression on all short strings', async (t) => {
  const texts = ['']
  for (const text of texts) if (text.length < 5) texts.push(`${text}a`, `${text}b`)
  const patterns = ['']
  for (const pattern of patterns) {
    if (pattern.length < 5) patterns.push(`${pattern}a`, `${pattern}b`, `${pattern}*`)
  }
  const wrong = patterns.flatMap((pattern) => {
    const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`)
    return texts.filter((text) => matchesPattern(pattern, text) !== expression.test(text))
  })
  t.strictSame(wrong, [])
})

t.test('a claim pattern with many wildcards takes no exponential time', async (t) => {
  t.equal(matchesPattern(`${'a*'.repeat(200)}b`, 'a'.repeat(10_000)), false)
})

t.test('every claim of a trust rule must match, and only strings match', async (t) => {
  const patterns = { repository: 'acme/app', ref: 'refs/heads/*' }
  const claims = { repository: 'acme/app', ref: 'refs/heads/main', actor: 'jane' }
  t.equal(matchesClaims(patterns, claims), true)
  for (const wrong of [
    { repository: 'acme/other' },
    { repository: undefined },
    { repository: ['acme/app'] },
    { repository: { toString: 'acme/app' } },
    { ref: 'refs/tags/v1' },
    { ref: 1 },
    { ref: true },
    { ref: null },
  ]) {
    t.equal(matchesClaims(patterns, { ...claims, ...wrong }), false, JSON.stringify(wrong))
  }
  t.equal(matchesClaims({ toString: '*' }, claims), false, 'a claim that every object inherits is absent')
})
