import t from 'tap'
import {
  MAX_NAME_LENGTH,
  NAMESPACE_PATTERN,
  REPOSITORY_NAME_PATTERN,
  isNamespace,
  isRepositoryName,
  namespaceCovers,
  namespacesOf,
} from '../src/name.ts'

const longest = `${'a'.repeat(127)}/${'b'.repeat(127)}`

const NAMES: readonly (readonly [name: string, good: boolean, why: string])[] = [
  ['a', true, 'one letter'],
  ['0', true, 'one digit'],
  ['alpine', true, 'a word'],
  ['team/app', true, 'two components'],
  ['a/b/c/d/e', true, 'many components'],
  ['a.b', true, 'a dot between'],
  ['a_b', true, 'an underscore between'],
  ['a__b', true, 'two underscores between'],
  ['a-b', true, 'a hyphen between'],
  ['a---b', true, 'hyphens between'],
  ['1.2-3_4__5', true, 'every separator'],
  ['tags/list', true, 'words of the API'],
  ['manifests/blobs/uploads', true, 'more words of the API'],
  [longest, true, '255 characters'],
  [`${longest}c`, false, '256 characters'],
  ['', false, 'nothing'],
  ['/', false, 'a slash alone'],
  ['/a', false, 'a leading slash'],
  ['a/', false, 'a trailing slash'],
  ['a//b', false, 'an empty component'],
  ['A', false, 'a capital'],
  ['team/App', false, 'a capital in the second component'],
  ['.', false, 'a dot segment'],
  ['..', false, 'two dots'],
  ['a/..', false, 'two dots at the end'],
  ['a/../b', false, 'two dots in between'],
  ['a/./b', false, 'one dot in between'],
  ['.a', false, 'a leading dot'],
  ['a.', false, 'a trailing dot'],
  ['a..b', false, 'two dots inside'],
  ['_a', false, 'a leading underscore'],
  ['a_', false, 'a trailing underscore'],
  ['a___b', false, 'three underscores'],
  ['-a', false, 'a leading hyphen'],
  ['a-', false, 'a trailing hyphen'],
  ['a._b', false, 'two separators'],
  ['a.-b', false, 'two other separators'],
  ['a b', false, 'a space'],
  ['a\tb', false, 'a tab'],
  ['a\n', false, 'a line end'],
  ['a\0', false, 'NUL'],
  ['a\\b', false, 'a backslash'],
  ['a:b', false, 'a colon'],
  ['a@b', false, 'an at sign'],
  ['a%2fb', false, 'an escaped slash'],
  ['a;b', false, 'a semicolon'],
  ['é', false, 'an accent'],
  ['ａ', false, 'a full-width letter'],
  ['٣', false, 'a digit that is not ASCII'],
  ['ſ', false, 'a letter whose lower case is ASCII'],
  ['registry-manager-trash', false, 'the reserved component'],
  ['registry-manager-trash/app', false, 'a repository of the trash'],
  ['registry-manager-trash/a/b', false, 'a repository below one of the trash'],
  ['registry-manager-trashy/app', true, 'a component that begins like the reserved one'],
  ['team/registry-manager-trash', true, 'the reserved component in another place'],
]

t.test('the pattern for OpenAPI documents accepts the names that isRepositoryName accepts', async (t) => {
  const pattern = new RegExp(REPOSITORY_NAME_PATTERN, 'u')
  for (const [name, good, why] of NAMES)
    t.equal(name.length <= MAX_NAME_LENGTH && pattern.test(name), good, why)
})

t.test('isRepositoryName accepts only names that the specification permits', async (t) => {
  for (const [name, good, why] of NAMES) {
    t.equal(isRepositoryName(name), good, `${good ? 'accepts' : 'refuses'} ${why}: ${JSON.stringify(name)}`)
  }
})

const COVERED: readonly (readonly [namespace: string, repository: string, covered: boolean])[] = [
  ['team', 'team/app', true],
  ['team', 'team/a/b', true],
  ['team/sub', 'team/sub/x', true],
  ['team', 'team', false],
  ['team', 'teams/app', false],
  ['team', 'team-b/app', false],
  ['team', 'tea', false],
  ['team', 'app/team', false],
  ['team', 'x/team/app', false],
  ['team/sub', 'team/app', false],
  ['team/sub', 'team/sub', true],
  ['team/sub/x', 'team/sub/x', true],
  ['team/sub/x', 'team/sub', false],
  ['team/sub', 'team/subs/x', false],
  ['', 'team/app', false],
  ['', 'app', false],
]

t.test(
  'a namespace covers repositories below it, and its own name if it has several components',
  async (t) => {
    for (const [namespace, repository, covered] of COVERED) {
      const verb = covered ? 'covers' : 'does not cover'
      t.equal(namespaceCovers(namespace, repository), covered, `"${namespace}" ${verb} ${repository}`)
    }
  },
)

t.test('the namespaces of a repository are all that cover it', async (t) => {
  t.strictSame(namespacesOf('alpine'), [], 'a repository without a slash belongs to no namespace')
  t.strictSame(namespacesOf('team/app'), ['team', 'team/app'])
  t.strictSame(namespacesOf('a/b/c'), ['a', 'a/b', 'a/b/c'])
})

const NAMESPACES: readonly (readonly [text: string, good: boolean, why: string])[] = [
  ['team', true, 'one component'],
  ['team/app', true, 'two components'],
  ['registry-manager-trash', false, 'the reserved component'],
  ['registry-manager-trash/a', false, 'a repository of the trash'],
  ['registry-manager-trashy', true, 'a component that begins like the reserved one'],
  ['a'.repeat(253), true, 'the longest component with room for a name below it'],
  ['a'.repeat(254), false, 'a component that leaves no room for a name below it'],
  [`team/${'a'.repeat(250)}`, true, 'the longest name, which covers itself'],
  [`team/${'a'.repeat(251)}`, false, 'more than a name can have'],
  ['', false, 'nothing'],
  ['team/', false, 'a slash at the end'],
  ['team/*', false, 'a pattern'],
  ['Team', false, 'a capital'],
]

t.test('isNamespace accepts only namespaces that can cover a repository', async (t) => {
  for (const [text, good, why] of NAMESPACES) {
    t.equal(isNamespace(text), good, `${good ? 'accepts' : 'refuses'} ${why}`)
  }
})

t.test(
  'the pattern of namespaces for JSON schemas accepts the strings that isNamespace accepts',
  async (t) => {
    // JSON schemas compile patterns with this flag.
    const pattern = new RegExp(NAMESPACE_PATTERN, 'u')
    for (const [text] of [...NAMES, ...NAMESPACES]) {
      const matches = text.length <= MAX_NAME_LENGTH && pattern.test(text)
      t.equal(matches, isNamespace(text), JSON.stringify(text.slice(0, 40)))
    }
    t.notOk(pattern.test(`${'a-'.repeat(50_000)}/`), 'a long string takes no exponential time')
  },
)
