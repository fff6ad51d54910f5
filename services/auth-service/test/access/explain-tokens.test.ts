import { pgliteForTest } from '@registry-manager/testing/pglite'
import t from 'tap'
import { passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { personalTokensApi } from '../fixtures/personal-tokens.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const { ask } = await startAuthService(t, await pgliteForTest(t))
await ask({
  method: 'POST',
  url: '/user',
  json: { username: 'jane', password: passwordOf('jane') },
  as: 'root',
})
const question = (query: Record<string, string>) =>
  new URLSearchParams({ repository: 'team/app', action: 'push', ...query })
const explain = (query: Record<string, string>, as = 'root') =>
  ask({ url: `/access/explain?${question(query)}`, as })
const who = (query: Record<string, string>) => ask({ url: `/access/who?${question(query)}`, as: 'root' })

t.test('a token is explained by its name or its id', async (t) => {
  const [ofAlice, registry] = [personalTokensApi(ask, 'alice'), await tokensApi(ask)]
  const pull = [{ type: 'repository', name: 'team/*', actions: ['pull'] }]
  const conditions = { networks: ['192.0.2.0/24'] }
  const { id } = await ofAlice.make({ name: 'Laptop', scopes: pull })
  const { id: limited } = await ofAlice.make({ name: 'office', conditions })
  const robot = await registry.make({ name: 'robot', conditions })
  const account = { kind: 'user', name: 'alice' }
  const own: Record<string, string>[] = [{ token: 'laptop' }, { token: id }, { token: id, account: 'Alice' }]
  for (const query of own) {
    t.match((await explain(query, 'alice')).json(), {
      account,
      token: { id, name: 'Laptop' },
      allowed: false,
      missing: /scopes of the personal/,
    })
  }
  for (const by of ['root', 'olga']) {
    const asked = await explain({ account: 'alice', token: 'office', address: '192.0.2.7' }, by)
    t.match(asked.json(), {
      account,
      token: { id: limited },
      allowed: true,
      because: [{ kind: 'namespace' }],
    })
    const elsewhere = (await explain({ account: 'alice', token: 'office', address: '10.0.0.1' }, by)).json()
    t.match(elsewhere, { allowed: false, because: [{ kind: 'condition', condition: 'networks' }] })
    for (const token of ['Robot', robot.id]) {
      const robots = (await explain({ token, address: '10.0.0.1', action: 'pull' }, by)).json()
      t.match(robots, {
        account: { kind: 'registry-token', name: 'robot' },
        allowed: false,
        missing: /^the token has a condition: .* a cluster administrator can change it$/,
      })
    }
  }
  t.equal((await explain({ account: 'alice', token: 'laptop' }, 'jane')).statusCode, 403, 'of another user')
  const unknown = await explain({ token: 'robot' }, 'jane')
  t.equal(unknown.statusCode, 404, 'jane manages no namespace, so she learns nothing about registry tokens')
  t.equal(unknown.json().detail, 'there is no personal token of yours and no registry token robot')
  t.equal((await explain({ account: 'alice', token: 'none' })).statusCode, 404)
  await registry.delete(robot.id)
})

t.test('a list of those who may push ends with the workloads of trust rules', async (t) => {
  const rule = (name: string, scope: string, conditions?: object) => ({
    name,
    issuer: 'https://issuer.example',
    audience: 'registry.example',
    claims: { repository: 'acme/app' },
    scopes: [{ type: 'repository', name: scope, actions: ['push'] }],
    ...(conditions && { conditions }),
  })
  const items = [
    rule('deploy', 'team/*'),
    rule('nightly', 'team/app', { networks: ['10.0.0.0/8'] }),
    rule('other', 'team/other'),
  ]
  const url = '/namespaces/team/trust-rules'
  t.equal((await ask({ method: 'PUT', url, json: { items }, as: 'olga' })).statusCode, 200)
  const expected = [
    { account: { kind: 'workload', name: 'team/deploy' }, allowed: true, because: [{ kind: 'scope' }] },
    {
      account: { kind: 'workload', name: 'team/nightly' },
      allowed: false,
      because: [{ kind: 'condition' }],
    },
  ]
  const all = (await who({})).json()
  t.match(all.items.slice(-2), expected)
  const found: unknown[] = []
  for (let query: Record<string, string> | undefined = { limit: '1' }; query !== undefined;) {
    const page: { items: unknown[]; next: string | null } = (await who(query)).json()
    found.push(...page.items)
    query = page.next === null ? undefined : { limit: '1', after: page.next }
  }
  t.strictSame(found, all.items, 'pages of one have the same entries')
  await ask({ method: 'PUT', url, json: { items: [] }, as: 'olga' })
})
