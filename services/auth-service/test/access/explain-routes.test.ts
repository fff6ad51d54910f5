import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

void onBothDatabases(t, async (t, db) => {
  const { ask } = await startAuthService(t, db)
  for (const username of ['jane', 'owen']) {
    const json = { username, password: passwordOf(username) }
    await ask({ method: 'POST', url: '/user', json, as: 'root' })
  }
  await ask({ method: 'POST', url: '/groups', json: { name: 'devs' }, as: 'root' })
  await ask({ method: 'PUT', url: '/groups/devs/members/jane', as: 'root' })
  const user = (name: string) => ({ kind: 'user', name })
  const devs = { kind: 'group', name: 'devs' }
  const put = async (namespace: string, items: readonly object[]) => {
    const answer = await ask({
      method: 'PUT',
      url: `/namespaces/${namespace}/grants`,
      json: { items },
      as: 'root',
    })
    t.equal(answer.statusCode, 200, answer.body)
    return (await ask({ url: `/namespaces/${namespace}/grants`, as: 'root' })).json().items
  }
  const explain = (query: Record<string, string>, as = 'root') =>
    ask({
      url: `/access/explain?${new URLSearchParams({ repository: 'team/app', action: 'push', ...query })}`,
      as,
    })
  const who = (query: Record<string, string>, as = 'root') =>
    ask({
      url: `/access/who?${new URLSearchParams({ repository: 'team/app', action: 'push', ...query })}`,
      as,
    })

  await t.test('users see their rights, and the grants that give them', async (t) => {
    const [grant] = await put('team', [{ subject: devs, repositories: 'team/*', role: 'reader' }])
    t.strictSame((await explain({ action: 'pull' }, 'jane')).json(), {
      account: user('jane'),
      repository: 'team/app',
      action: 'pull',
      allowed: true,
      because: [{ kind: 'group', id: grant.id, name: 'devs', repositories: 'team/*', role: 'reader' }],
      missing: null,
    })
    t.match((await explain({ account: 'Jane' }, 'jane')).json(), {
      allowed: false,
      because: [{ kind: 'group', role: 'reader' }],
      missing: /^no right to push to team\/app; an owner or administrator of team, .* the role developer/,
    })
    t.match(
      (await explain({ account: 'jane' }, 'olga')).json(),
      { allowed: false },
      'an administrator of team',
    )
    t.match((await explain({ account: 'alice' })).json(), {
      allowed: true,
      because: [{ kind: 'namespace', namespace: 'team' }],
    })
  })

  await t.test(
    'those who do not manage a namespace learn nothing about the accounts of others',
    async (t) => {
      const answers = await Promise.all([
        explain({ account: 'alice' }, 'jane'),
        explain({ account: 'nobody' }, 'jane'),
        who({}, 'jane'),
      ])
      for (const answer of answers) {
        t.equal(answer.statusCode, 403)
        t.equal(answer.body, answers[0]?.body)
      }
      t.equal((await explain({ account: 'jane', repository: 'far/app' }, 'olga')).statusCode, 403)
      t.equal((await explain({ account: 'jane', repository: 'alpine' }, 'olga')).statusCode, 403)
      t.equal((await explain({ account: 'nobody' }, 'olga')).statusCode, 404)
      t.equal((await ask({ url: '/access/explain?repository=team/app&action=pull' })).statusCode, 401)
    },
  )

  await t.test('conditions are compared with the address in the question', async (t) => {
    const conditions = { networks: ['10.0.0.0/8'] }
    await put('team', [{ subject: user('jane'), repositories: 'team/*', role: 'developer', conditions }])
    t.match((await explain({ address: '10.1.2.3' }, 'jane')).json(), {
      allowed: true,
      because: [{ conditions }],
    })
    for (const address of ['', '192.0.2.1']) {
      t.match((await explain({ account: 'jane', ...(address && { address }) })).json(), {
        allowed: false,
        because: [{ kind: 'condition', condition: 'networks' }],
        missing: /applies to clients in 10\.0\.0\.0\/8 only/,
      })
    }
  })

  await t.test('a question can add a grant or leave one out, and nothing is stored', async (t) => {
    const ask2 = (json: object) =>
      ask({
        method: 'POST',
        url: '/access/explain',
        json: { account: 'jane', repository: 'team/app', action: 'push', ...json },
        as: 'root',
      })
    const [grant] = await put('team', [
      { subject: user('jane'), repositories: 'team/app', actions: ['push'] },
    ])
    t.match((await ask2({})).json(), { allowed: true, because: [{ id: grant.id, actions: ['push'] }] })
    t.match((await ask2({ without: grant.id })).json(), { allowed: false, because: [] })
    const added = { repositories: 'team/*', role: 'developer' }
    t.match((await ask2({ without: grant.id, with: added })).json(), {
      allowed: true,
      because: [{ kind: 'grant', id: 'with', role: 'developer' }],
    })
    t.match((await ask2({})).json(), { allowed: true })
    t.match((await ask2({ with: { repositories: 'team/*' } })).json(), { status: 400, field: 'with.role' })
  })

  await t.test('a registry token is explained by its name, with its scopes and its state', async (t) => {
    const tokens = await tokensApi(ask)
    const scopes = [{ type: 'repository', name: 'team/*', actions: ['push'] }]
    await tokens.make({ name: 'CI-Team', scopes })
    t.match((await explain({ account: 'ci-team' })).json(), {
      account: { kind: 'registry-token', name: 'CI-Team' },
      allowed: true,
      because: [{ kind: 'scope', repositories: 'team/*', actions: ['push'] }],
    })
  })

  await t.test(
    'a list has the accounts that may push, each with the right that permits it, in pages by name',
    async (t) => {
      const conditions = { networks: ['10.0.0.0/8'] }
      await put('team', [
        { subject: devs, repositories: 'team/*', role: 'developer' },
        { subject: user('olga'), repositories: 'team/other', role: 'developer' },
        { subject: user('alice'), repositories: 'team/app', role: 'reader' },
      ])
      await put('*', [{ subject: user('owen'), repositories: '*', role: 'developer', conditions }])
      const expected = [
        ['alice', true, 'namespace'],
        ['CI-Team', true, 'scope'],
        ['jane', true, 'group'],
        ['olga', true, 'namespace'],
        ['owen', false, 'condition'],
        ['root', true, 'role'],
      ]
      type Item = { account: { name: string }; allowed: boolean; because: { kind: string }[] }
      const found: unknown[] = []
      let query: Record<string, string> = { limit: '2' }
      for (;;) {
        const page: { items: Item[]; next: string | null } = (await who(query, 'olga')).json()
        found.push(
          ...page.items.map(({ account, allowed, because }) => [account.name, allowed, because[0]?.kind]),
        )
        if (page.next === null) break
        query = { limit: '2', after: page.next }
      }
      t.strictSame(found, expected)
      const inNetwork = (await who({ address: '10.1.2.3' })).json().items as Item[]
      t.match(
        inNetwork.find(({ account }) => account.name === 'owen'),
        { allowed: true },
      )
      t.equal((await who({ repository: 'alpine' })).json().items.length, 2, 'root and owen')
      await put('*', [])
    },
  )

  await t.test('an invalid question is refused, and its field is named', async (t) => {
    for (const [field, query] of [
      ['repository', { repository: 'Team/App' }],
      ['action', { action: 'fly' }],
      ['generation', { generation: 'x' }],
    ] as const) {
      t.match((await explain(query)).json(), { status: 400, field })
    }
  })
})
