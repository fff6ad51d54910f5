import t from 'tap'
import { tagMatches } from '../src/tag-pattern.ts'

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

t.test('a pattern with many stars is compared in a short time', async (t) => {
  const [pattern, tag] = ['a*'.repeat(64), 'a'.repeat(128)]
  const startedAt = performance.now()
  for (let times = 0; times < 1000; times += 1) tagMatches(`${pattern}b`, tag)
  t.ok(performance.now() - startedAt < 2000)
})
