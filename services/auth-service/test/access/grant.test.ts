import t from 'tap'
import type { PlannedGrant, StoredGrant } from '../../src/access/grant.ts'
import { mayNamePattern, planGrants } from '../../src/access/grant.ts'

t.test('grants of a namespace may name a pattern if all its repositories are in the namespace', async (t) => {
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
    ['*', ['*', 'app', 'team/*', 'team/app'], ['', '**', 'Team/app', '../x']],
  ]
  for (const [namespace, inside, outside] of cases) {
    for (const pattern of inside) t.ok(mayNamePattern(namespace, pattern), `${pattern} is in ${namespace}`)
    for (const pattern of outside)
      t.notOk(mayNamePattern(namespace, pattern), `${pattern} is not in ${namespace}`)
  }
})

t.test('grants that stay are neither added nor removed', async (t) => {
  const planned = (repositories: string, change: Partial<PlannedGrant> = {}): PlannedGrant => ({
    subject: { kind: 'user', name: 'jane', id: 'u-1' },
    repositories,
    role: 'reader',
    actions: [],
    ...change,
  })
  const stored = (id: string, grant: PlannedGrant): StoredGrant => {
    return { ...grant, id, createdAt: new Date(0), createdBy: 'root' }
  }
  const limited = planned('team/b', { conditions: { tags: 'v*', networks: ['10.0.0.0/8'] } })
  const present = [stored('1', planned('team/a')), stored('2', limited), stored('3', planned('team/c'))]
  const sameInOtherOrder = planned('team/b', { conditions: { networks: ['10.0.0.0/8'], tags: 'v*' } })
  const added = planned('team/c', { role: 'owner' })
  const plan = planGrants(present, [added, sameInOtherOrder, planned('team/a')])
  t.strictSame(plan, { add: [added], remove: [present[2]] })
  t.strictSame(planGrants(present, present), { add: [], remove: [] })
})
