import t from 'tap'
import { joinTagPatterns, tagMatches, tagMatchesAll } from '../src/tag-pattern.ts'

t.test('a star in a tag pattern stands for any characters', async (t) => {
  const cases: readonly (readonly [
    pattern: string,
    matching: readonly string[],
    other: readonly string[],
  ])[] = [
    ['v*', ['v', 'v1', 'v1.2.3'], ['1', 'av1', 'V1']],
    ['*', ['a', 'v1'], []],
    ['1.0', ['1.0'], ['1', '1.0.1', '1x0']],
    ['*-rc', ['1-rc', '-rc'], ['rc', '1-rc1']],
    ['v*.*', ['v1.2', 'v.', 'v1.2.3'], ['v1', '.v']],
    ['a*b*a', ['aba', 'abba', 'axbxa'], ['aa', 'ab', 'a']],
    ['ab*ba', ['abba', 'abxba'], ['aba']],
    ['**', ['a'], []],
  ]
  for (const [pattern, matching, other] of cases) {
    for (const tag of matching) t.ok(tagMatches(pattern, tag), `${pattern} matches ${tag}`)
    for (const tag of other) t.notOk(tagMatches(pattern, tag), `${pattern} does not match ${tag}`)
  }
})

t.test('a comparison with a tag pattern of many stars takes no exponential time', async (t) => {
  t.notOk(tagMatches(`${'a*'.repeat(64)}b`, 'a'.repeat(128)))
})

t.test('a tag matches joined patterns if it matches each of them', async (t) => {
  t.equal(joinTagPatterns(undefined, undefined), undefined)
  t.equal(joinTagPatterns('v*', undefined, 'v*'), 'v*')
  const joined = joinTagPatterns('v*', '*-rc') ?? ''
  t.ok(tagMatchesAll(joined, 'v1-rc'))
  for (const tag of ['v1', '1-rc', 'latest']) t.notOk(tagMatchesAll(joined, tag), tag)
  t.notOk(tagMatches(joined, 'v1-rc'), 'a previous version, which does not know the form, permits nothing')
})
