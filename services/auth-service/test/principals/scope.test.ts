import type { Access } from '@registry-manager/oci'
import t from 'tap'
import type { Globals } from '../../src/access-tokens/grant.ts'
import { grant as grantAccess, findNotPullable } from '../../src/access-tokens/grant.ts'
import { scopeNotes, toScopes } from '../../src/principals/scope.ts'

/*
 * The expected result, by hand: a row for each pattern, a column for each repository, y where the pattern covers it.
 * Every cell is tested with every set of actions.
 */
const REPOSITORIES = [
  'app',
  'team',
  'teams',
  'team/app',
  'team/app2',
  'team/app/x',
  'team/sub/x',
  'team/sub/x/y',
  'team-b/app',
  'teams/app',
  'other/app',
  'other/team/app',
  'a/team/app',
  'te/am',
]
const COVERS: Readonly<Record<string, string>> = {
  '*': 'yyyyyyyyyyyyyy',
  'team/*': '---yyyyy------',
  'team/sub/*': '------yy------',
  'team/sub/x/*': '-------y------',
  'team/app/*': '-----y--------',
  'teams/*': '---------y----',
  'team-b/*': '--------y-----',
  'other/*': '----------yy--',
  'other/team/*': '-----------y--',
  'app/*': '--------------',
  team: '-y------------',
  app: 'y-------------',
  'team/app': '---y----------',
  'team/sub': '--------------',
  'team/sub/x': '------y-------',
  'other/team/app': '-----------y--',
  'te/am': '-------------y',
}
const ACTIONS: readonly (readonly [scope: readonly string[], permitted: readonly string[]])[] = [
  [['pull'], ['pull']],
  [['push'], ['pull', 'push']],
  [['delete'], ['delete']],
  [
    ['pull', 'push'],
    ['pull', 'push'],
  ],
  [
    ['pull', 'delete'],
    ['pull', 'delete'],
  ],
  [
    ['push', 'delete'],
    ['pull', 'push', 'delete'],
  ],
  [
    ['pull', 'push', 'delete'],
    ['pull', 'push', 'delete'],
  ],
]
const context = { address: '192.0.2.7', now: 0 }
const grant = (
  scopes: { scopes: readonly Access[] },
  requested: readonly Access[],
  globals: Globals = new Map(),
) => grantAccess(scopes, requested, { ...context, globals }).access
const ASKED = ['pull', 'push', 'delete']
const repository = (name: string, actions: readonly string[]) => ({ type: 'repository', name, actions })

t.test('a scope permits its actions on exactly the repositories that its pattern covers', async (t) => {
  let count = 0
  for (const [pattern, row] of Object.entries(COVERS)) {
    t.equal(row.length, REPOSITORIES.length, `the row of ${pattern}`)
    for (const [column, name] of REPOSITORIES.entries()) {
      for (const [actions, permitted] of ACTIONS) {
        const scopes = toScopes([repository(pattern, actions)])
        const expected = row[column] === 'y' ? permitted : []
        const what = `${pattern}:${actions.join()} on ${name}`
        const held = (asked: readonly string[]) =>
          grant({ scopes }, [repository(name, asked)])[0]?.actions ?? []
        t.strictSame(held(['*']), expected, `${what}: everything permitted`)
        for (const action of ASKED) {
          t.strictSame(
            held([action]),
            expected.filter((one) => one === action),
            `${what}: ${action}`,
          )
          count += 1
        }
      }
    }
  }
  t.ok(count >= 200, `${count} combinations`)
})

t.test('a registry token is granted nothing beyond its scopes', async (t) => {
  const scopes = [repository('team/*', ['pull', 'push', 'delete'])]
  const foreign = repository('other/app', ['pull'])
  t.strictSame(
    grant({ scopes }, [foreign], new Map([['other/app', undefined]])),
    [],
    'a global repository is not granted',
  )
  t.strictSame(findNotPullable({ scopes }, [foreign], context), [], 'image-manager is not called for it')
  const everything = { scopes: [repository('*', ['pull', 'push', 'delete'])] }
  for (const name of ['team/../app', 'team//app', 'Team/app', 'team/*', '*', '', 'host:5000/team/app']) {
    t.strictSame(
      grant(everything, [repository(name, ['*'])]),
      [],
      `${JSON.stringify(name)} is no repository name`,
    )
  }
  t.strictSame(grant(everything, [{ type: 'sprocket', name: 'team/app', actions: ['*'] }]), [])
  t.strictSame(grant(everything, [repository('team/app', ['frobnicate'])]), [])
  const catalog = { type: 'registry', name: 'catalog', actions: ['*'] }
  t.strictSame(
    grant({ scopes }, [catalog]),
    [catalog],
    'the catalog is granted: it lists the repositories that the registry token may pull',
  )
})

t.test('scopes have their actions in order and without duplicates', async (t) => {
  const scopes = toScopes([
    repository('team/*', ['push', 'pull', 'push']),
    { type: 'repository', name: '*', actions: ['delete'] },
  ])
  t.strictSame(scopes, [repository('team/*', ['pull', 'push']), repository('*', ['delete'])])
  t.strictSame(toScopes([]), [])
})

t.test('a scope of one component gets a note: it names a repository, not a namespace', async (t) => {
  const scopes = ['team1', 'team1/*', 'team1/app', '*'].map((name) => repository(name, ['pull']))
  t.strictSame(scopeNotes(scopes), [
    'scope team1 covers only the repository team1, which belongs to no namespace; ' +
      'team1/* covers all repositories below team1',
  ])
})
