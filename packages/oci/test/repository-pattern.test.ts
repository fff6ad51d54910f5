import t from 'tap'
import { MAX_NAME_LENGTH } from '../src/name.ts'
import {
  SCOPE_NAME_PATTERN,
  intersectPatterns,
  isPatternWithin,
  parseRepositoryPattern,
  patternCovers,
  permittedByScopes,
} from '../src/repository-pattern.ts'

const PATTERNS: readonly (readonly [
  text: string,
  kind: 'every' | 'below' | 'one' | undefined,
  why: string,
])[] = [
  ['*', 'every', 'every repository'],
  ['team/*', 'below', 'every repository below a component'],
  ['team/a/b/*', 'below', 'every repository below several components'],
  ['a.b_c--d/*', 'below', 'any component'],
  ['team/app', 'one', 'a name'],
  ['app', 'one', 'a name of one component'],
  [`${'a'.repeat(255)}`, 'one', 'the longest name'],
  [`${'a'.repeat(253)}/*`, 'below', 'below the longest prefix'],
  [`${'a'.repeat(254)}/*`, undefined, 'below a prefix that leaves no room for a name'],
  ['', undefined, 'nothing'],
  ['**', undefined, 'two stars'],
  ['/*', undefined, 'below nothing'],
  ['*/', undefined, 'a slash after the star'],
  ['*/app', undefined, 'a star first'],
  ['team*', undefined, 'a part of a component'],
  ['te*m/app', undefined, 'a star inside'],
  ['team/a*', undefined, 'a part of the last component'],
  ['team/**', undefined, 'two stars below'],
  ['team/*/app', undefined, 'a star between'],
  ['team/*/', undefined, 'a slash at the end'],
  ['team//*', undefined, 'an empty component'],
  ['Team/*', undefined, 'a capital'],
  ['team/App', undefined, 'a capital in a name'],
  ['../*', undefined, 'dots'],
  ['team/../*', undefined, 'dots between'],
  [' *', undefined, 'a blank'],
  ['*\n', undefined, 'a line end'],
  ['team/*\n', undefined, 'a line end after'],
  ['team/app:tag', undefined, 'a tag'],
  ['host:5000/*', undefined, 'a host'],
  ['team/?', undefined, 'a question mark'],
  ['team/[a]', undefined, 'brackets'],
  ['%2a', undefined, 'an escaped star'],
  ['＊', undefined, 'a full-width star'],
  [`${'a'.repeat(256)}`, undefined, 'a name that is too long'],
  ['registry-manager-trash/*', undefined, 'below the reserved component'],
  ['registry-manager-trash/a/*', undefined, 'below a repository of the trash'],
  ['registry-manager-trash/a', undefined, 'a repository of the trash'],
  ['registry-manager-trash', undefined, 'the reserved component'],
]

t.test('patterns of repository names are parsed', async (t) => {
  for (const [text, kind, why] of PATTERNS) t.equal(parseRepositoryPattern(text)?.kind, kind, why)
  t.strictSame(parseRepositoryPattern('team/sub/*'), { kind: 'below', prefix: 'team/sub' })
})

t.test('a string that is not a pattern covers no repository', async (t) => {
  for (const [text, kind] of PATTERNS) if (kind === undefined) t.notOk(patternCovers(text, text), text)
})

t.test('scopes permit their actions on the repositories that their patterns cover', async (t) => {
  const scope = (name: string, ...actions: string[]) => ({ type: 'repository', name, actions })
  const cases = [
    [[scope('a/x', 'pull')], 'a/x', ['pull']],
    [[scope('a/x', 'push')], 'a/x', ['pull', 'push']],
    [[scope('a/x', 'delete')], 'a/x', ['delete']],
    [[scope('a/x', 'delete', 'push')], 'a/x', ['pull', 'push', 'delete']],
    [[scope('a/*', 'pull'), scope('a/x', 'delete')], 'a/x', ['pull', 'delete']],
    [[scope('a/*', 'pull'), scope('b/*', 'push')], 'a/x', ['pull']],
    [[scope('*', 'pull'), scope('b/*', 'push')], 'b/x', ['pull', 'push']],
    [[{ type: 'registry', name: '*', actions: ['pull'] }], 'a/x', []],
    [[scope('*', 'pull', 'push', 'delete')], 'a//x', []],
    [[scope('*', 'pull', 'push', 'delete')], '*', []],
    [[scope('a/*', 'pull')], 'a/*', []],
    [[scope('*', '*')], 'a/x', []],
    [[], 'a/x', []],
  ] as const
  for (const [scopes, repository, permitted] of cases) {
    t.strictSame(
      permittedByScopes(scopes, repository),
      permitted,
      `${JSON.stringify(scopes)} on ${repository}`,
    )
  }
})

t.test('the pattern for JSON schemas accepts the strings that parseRepositoryPattern accepts', async (t) => {
  // JSON schemas compile patterns with this flag.
  const pattern = new RegExp(SCOPE_NAME_PATTERN, 'u')
  for (const [text, kind, why] of PATTERNS) {
    t.equal(text.length <= MAX_NAME_LENGTH && pattern.test(text), kind !== undefined, why)
  }
})

t.test('the intersection of two lists of patterns covers the names that both cover', async (t) => {
  const names = ['a', 'b', 'a/b', 'a/b/c', 'a/b/c/d', 'a/c', 'ab/c', 'b/a']
  const patterns = ['*', ...names, ...names.map((name) => `${name}/*`), 'no//pattern']
  const covers = (list: readonly string[], name: string) =>
    list.some((pattern) => patternCovers(pattern, name))
  const lists = patterns.flatMap((one, at) => [[one], [one, patterns[(at * 7 + 3) % patterns.length] ?? '']])
  for (const some of [...lists, []]) {
    for (const others of lists) {
      const common = intersectPatterns(some, others)
      for (const name of [...names, 'a/x', 'a/b/x', 'x']) {
        const expected = covers(some, name) && covers(others, name)
        if (covers(common, name) !== expected) t.fail(`${some} and ${others} on ${name}: ${common}`)
      }
    }
  }
  t.strictSame(intersectPatterns(['a/*', 'b'], ['a/b/*', '*']), ['a/b/*', 'a/*', 'b'])
})

t.test('a pattern is within a namespace if the namespace covers all its repositories', async (t) => {
  const cases: readonly (readonly [
    namespace: string,
    inside: readonly string[],
    outside: readonly string[],
  ])[] = [
    [
      'team',
      ['team/app', 'team/*', 'team/a/*', 'team/a/b'],
      ['team', '*', 'teams/*', 'teams/app', 'other/team/x', 'team/**', ''],
    ],
    [
      'team/app',
      ['team/app', 'team/app/*', 'team/app/x'],
      ['team/*', 'team/app2', 'team/application/*', 'team'],
    ],
  ]
  for (const [namespace, inside, outside] of cases) {
    for (const pattern of inside) t.ok(isPatternWithin(namespace, pattern), `${pattern} is in ${namespace}`)
    for (const pattern of outside)
      t.notOk(isPatternWithin(namespace, pattern), `${pattern} is not in ${namespace}`)
  }
})
