import t from 'tap'
import type { Access } from '../src/access.ts'
import { formatScope } from '../src/access.ts'
import { parseScopes } from '../src/scope.ts'

const entry = (type: string, name: string, ...actions: string[]): Access => ({ type, name, actions })

const GOOD: readonly (readonly [why: string, parameters: readonly string[], scopes: readonly Access[]])[] = [
  ['one action', ['repository:a/b:pull'], [entry('repository', 'a/b', 'pull')]],
  ['several actions', ['repository:a:pull,push'], [entry('repository', 'a', 'pull', 'push')]],
  ['the catalog', ['registry:catalog:*'], [entry('registry', 'catalog', '*')]],
  ['a class, dropped', ['repository(plugin):a/b:pull'], [entry('repository', 'a/b', 'pull')]],
  ['a host and a port', ['repository:host:5000/a/b:pull'], [entry('repository', 'host:5000/a/b', 'pull')]],
  ['a name of colons', ['repository:a:b:c:pull'], [entry('repository', 'a:b:c', 'pull')]],
  ['an unknown action', ['repository:a:frobnicate'], [entry('repository', 'a', 'frobnicate')]],
  ['an unknown type', ['sprocket:a:pull'], [entry('sprocket', 'a', 'pull')]],
  [
    'several in one parameter',
    ['repository:a:pull  repository:b:push '],
    [entry('repository', 'a', 'pull'), entry('repository', 'b', 'push')],
  ],
  [
    'several parameters',
    ['repository:a:pull', 'registry:catalog:*'],
    [entry('repository', 'a', 'pull'), entry('registry', 'catalog', '*')],
  ],
  [
    'one resource named in two parameters: merged, in the order of asking',
    ['repository:a:push repository:b:pull', 'repository:a:pull,push,delete'],
    [entry('repository', 'a', 'push', 'pull', 'delete'), entry('repository', 'b', 'pull')],
  ],
  ['a repeated action', ['repository:a:pull,pull'], [entry('repository', 'a', 'pull')]],
  [
    'a resource with and without a class: one resource',
    ['repository(plugin):a:pull repository:a:push'],
    [entry('repository', 'a', 'pull', 'push')],
  ],
  [
    'one name in two types: two resources',
    ['repository:catalog:pull registry:catalog:*'],
    [entry('repository', 'catalog', 'pull'), entry('registry', 'catalog', '*')],
  ],
  [
    'a type and name that would read alike when joined',
    ['repository:a:b:pull', 'repository:b:pull'],
    [entry('repository', 'a:b', 'pull'), entry('repository', 'b', 'pull')],
  ],
]

t.test('well-formed scopes are parsed and merged by resource', async (t) => {
  for (const [why, parameters, scopes] of GOOD) t.same(parseScopes(parameters), scopes, why)
})

t.test('parsing no scope returns null; parsing only malformed scopes returns an empty list', async (t) => {
  for (const parameters of [[], [''], ['  '], ['', ' ']]) t.equal(parseScopes(parameters), null)
  t.strictSame(parseScopes(['oops']), [])
})

const IGNORED: readonly (readonly [scope: string, why: string])[] = [
  ['repository', 'a type alone'],
  ['repository:a', 'no action'],
  ['repository:a:', 'an empty action'],
  ['repository::pull', 'an empty name'],
  [':a:pull', 'an empty type'],
  ['::', 'colons alone'],
  ['repository:a:PULL', 'a capital action'],
  ['repository:a:pull*', 'a star beside letters'],
  ['repository:a:pull\tpush', 'a tab'],
  ['repository:a:pull\n', 'a line end'],
  ['repository:a:metadata_read', "an action of Quay's"],
  ['repository:a:scanner-pull', "an action of Harbor's"],
  ['Repository:a:pull', 'a capital type'],
  ['repository(plugin:a:pull', 'a class that does not close'],
  ['repository():a:pull', 'an empty class'],
  ['repository(a)(b):a:pull', 'two classes'],
]

t.test('a malformed scope is ignored, and the other scopes count', async (t) => {
  for (const [scope, why] of IGNORED) {
    t.strictSame(parseScopes([scope]), [], `${why}: ${JSON.stringify(scope)}`)
    t.same(
      parseScopes([`${scope} repository:b:pull`]),
      [entry('repository', 'b', 'pull')],
      `${why}, before another`,
    )
    t.same(
      parseScopes(['repository:b:pull', scope]),
      [entry('repository', 'b', 'pull')],
      `${why}, after another`,
    )
  }
})

t.test('a malformed action is ignored, and the other actions of its scope count', async (t) => {
  for (const actions of [
    'pull,',
    ',pull',
    'pull,,pull',
    'pull,metadata_read',
    'scanner-pull,pull',
    'PULL,pull',
  ]) {
    t.same(parseScopes([`repository:a:${actions}`]), [entry('repository', 'a', 'pull')], actions)
  }
})

t.test('formatted scopes parse to the same access', async (t) => {
  const access = [entry('repository', 'host:5000/a', 'pull', 'push'), entry('registry', 'catalog', '*')]
  t.equal(formatScope(access), 'repository:host:5000/a:pull,push registry:catalog:*')
  t.same(parseScopes([formatScope(access)]), access)
  t.equal(formatScope([]), '')
})
