import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMetrics, createServer } from '@registry-manager/http'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { until } from '@registry-manager/testing/until'
import { sql } from 'kysely'
import t from 'tap'
import { auditRoutes } from '../../src/audit/audit-routes.ts'
import type { StoredEvent } from '../../src/audit/list-events.ts'
import { makeAccount } from '../fixtures/accounts.ts'
import { SERVICE_CREDENTIAL, passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const NDJSON = { accept: 'application/x-ndjson' }

await onBothDatabases(t, async (t, db) => {
  const service = await startAuthService(t, db, { trustedProxies: '127.0.0.1' })
  const { ask, askInternal } = service
  const audit = (query = '', as = 'root') => ask({ url: `/audit${query}`, as })
  const items = async (query: string) => (await audit(query)).json().items as Record<string, unknown>[]
  const headers = { 'x-forwarded-for': '192.0.2.7', 'x-request-id': 'r-1' }

  await t.test('GET /audit shows the events with all their fields, newest first', async (t) => {
    const json = { username: 'bob', password: passwordOf('bob'), namespaces: ['team'] }
    const created = await ask({ method: 'POST', url: '/user', as: 'root', json, headers })
    await ask({ method: 'DELETE', url: '/user/sessions', as: 'bob', headers })
    const response = await audit()
    t.equal(response.statusCode, 200)
    t.match(response.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' })
    const { items, next } = response.json()
    t.equal(next, null)
    t.match(
      items.map(({ action }: { action: string }) => action),
      ['sessions.end', 'user.create', 'user.create', 'user.create', 'user.create'],
    )
    const root = (await ask({ url: '/user', as: 'root' })).json()
    const { id, time, ...shown } = items[1]
    t.match([id, time], [/^\d+$/, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/])
    t.strictSame(shown, {
      action: 'user.create',
      principal: { kind: 'user', id: root.id, name: 'root' },
      address: '192.0.2.7',
      requestId: 'r-1',
      target: { kind: 'user', account: 'bob', id: created.json().id, name: 'bob' },
      outcome: 'done',
      detail: { ad: false, role: 'user', enabled: true, namespaces: ['team'] },
    })
  })

  await t.test('only cluster administrators read events', async (t) => {
    const ci = await (await tokensApi(ask)).make({ name: 'ci' })
    const identityToken = (await ask({ url: '/auth/v2/token', as: 'root' })).json().token
    const scoped = (await ask({ url: '/auth/v2/token?scope=registry:catalog:*', as: 'root' })).json().token
    t.equal((await ask({ url: '/audit' })).statusCode, 401)
    t.equal((await ask({ url: '/audit', as: 'root', password: 'wrong' })).statusCode, 401)
    t.equal((await audit('', 'alice')).statusCode, 403)
    t.equal((await audit('', 'olga')).statusCode, 403, 'an administrator of namespaces')
    t.equal((await ask({ url: '/audit', as: ci.as, password: ci.password })).statusCode, 403)
    t.equal((await ask({ url: '/audit', bearer: identityToken })).statusCode, 200)
    t.equal((await ask({ url: '/audit', bearer: scoped })).statusCode, 401, 'not an identity token')
    t.equal(
      (await ask({ url: '/audit?principal=', as: 'alice' })).statusCode,
      403,
      'before the query is checked',
    )
  })

  await t.test('filters by name ignore case, and next leads to the next page', async (t) => {
    t.match(await items('?account=BOB&action=user.create'), [{ target: { name: 'bob' } }])
    t.match(await items('?account=CI'), [{ action: 'registry-token.create', target: { account: 'ci' } }])
    const all = await items('')
    const paged: unknown[] = []
    for (let after = ''; ;) {
      const page = (await audit(`?limit=2${after}`)).json()
      t.ok(page.items.length <= 2)
      paged.push(...page.items)
      if (page.next === null) break
      after = `&after=${page.next}`
    }
    t.strictSame(paged, all)
  })

  await t.test(
    'a bad query gets 400 with the name of the parameter and a description of valid values',
    async (t) => {
      for (const [query, field, detail] of [
        ['user=bob', 'user', /^user is not a known field/],
        ['limit=0', 'limit', /^limit must be a whole number from 1 to 200$/],
        ['limit=201', 'limit', /^limit must be a whole number from 1 to 200$/],
        ['limit=x', 'limit', /^limit must be a whole number/],
        ['outcome=good', 'outcome', /^outcome must be one of done, refused, failed$/],
        ['action=tag.create', 'action', /^action must be one of push, tag\.move/],
        ['since=yesterday', 'since', /^since must be a time such as/],
        ['until=2026-11-29', 'until', /^until must be a time such as/],
        ['since=0001-01-01T00:00:00Z', 'since', /^since must be a time from 1970 on/],
        ['since=2026-12-31T23:59:60Z', 'since', /^since must be a time from 1970 on/],
        ['after=7', 'after', /^after must be the value of next/],
        ['after=99999999999999999-1', 'after', /^after must be the value of next/],
        ['tag=1', 'tag', /^tag requires repository$/],
        ['digest=sha256:a', 'digest', /^digest requires repository$/],
        ['principal=', 'principal', /^principal /],
        ['account=a%00b', 'account', /^account must not contain NUL$/],
        ['account=a&account=b', 'account', /^account is given twice$/],
      ] as const) {
        for (const accept of [{}, NDJSON]) {
          const response = await ask({ url: `/audit?${query}`, as: 'root', headers: accept })
          t.equal(response.statusCode, 400, query)
          t.match(response.json(), { status: 400, field, detail }, query)
        }
      }
    },
  )

  await t.test('a stream is sent if Accept weighs it above 0 and not below a page', async (t) => {
    for (const [accept, type] of [
      ['application/x-ndjson', NDJSON.accept],
      ['application/json;q=0.5, Application/X-NDJSON; q=0.9', NDJSON.accept],
      ['application/x-ndjson, */*;q=0.1', NDJSON.accept],
      ['application/json, application/x-ndjson;q=0', 'application/json; charset=utf-8'],
      ['application/x-ndjson;q=0.000', 'application/json; charset=utf-8'],
      ['application/x-ndjson;q=0.1, application/json', 'application/json; charset=utf-8'],
      ['application/x-ndjson-seq', 'application/json; charset=utf-8'],
      ['*/*', 'application/json; charset=utf-8'],
    ] as const) {
      const response = await ask({ url: '/audit?limit=1', as: 'root', headers: { accept } })
      t.strictSame([response.statusCode, response.headers['content-type']], [200, type], accept)
    }
  })

  await t.test('with Accept: application/x-ndjson the events are one stream of lines', async (t) => {
    await sql`insert into events (action, outcome, principal_kind, principal_name, target)
      select 'push', 'done', 'user', 'pusher', '{"kind":"manifest","name":"team/app@sha256:a"}'
      from generate_series(1, 1234)`.execute(db)
    const response = await ask({ url: '/audit?principal=pusher', as: 'root', headers: NDJSON })
    t.equal(response.statusCode, 200)
    t.match(response.headers, { 'content-type': NDJSON.accept, 'cache-control': 'no-store' })
    const lines = response.body.split('\n')
    t.equal(lines.pop(), '', 'the last line ends too')
    const events = lines.map((line) => JSON.parse(line))
    t.equal(new Set(events.map(({ id }) => id)).size, 1234)
    t.strictSame(
      events.slice(0, 200),
      await items('?principal=pusher&limit=200'),
      'in the order and form of pages',
    )
    const limited = await ask({ url: '/audit?principal=pusher&limit=3', as: 'root', headers: NDJSON })
    t.equal(limited.body.split('\n').length - 1, 3)
    await db.deleteFrom('events').where('principal_name', '=', 'pusher').execute()
  })

  await t.test(
    'refused sign-ins, wherever the credentials were sent, and refused changes are events',
    async (t) => {
      const before = new Date(Date.now() - 1)
      const wrong = { as: 'alice', password: 'wrong', headers } as const
      await ask({ url: '/auth/v2/token', ...wrong })
      await ask({ url: '/user', ...wrong })
      const form = { grant_type: 'password', username: 'alice', password: 'wrong', service: 'token-service' }
      await ask({ method: 'POST', url: '/auth/v2/token', form, headers })
      await ask({ url: '/user', as: 'not-a-user', password: 'x', headers })
      await askInternal({
        method: 'POST',
        url: '/internal/token-exchanges',
        bearer: SERVICE_CREDENTIAL,
        json: { username: 'alice', password: 'wrong', address: '192.0.2.99', access: null },
        headers: {
          'x-request-context': Buffer.from(
            JSON.stringify({ requestId: 'r-of-the-proxy', address: '192.0.2.99', principal: null }),
          ).toString('base64url'),
        },
      })
      for (let count = 0; count < 2; count += 1) {
        await ask({ method: 'DELETE', url: '/user?username=bob&password=x', as: 'alice', headers })
      }
      await ask({
        method: 'POST',
        url: '/containerregistries/registries/secret-x/tokens',
        as: 'olga',
        headers,
      })
      const machine = await (await tokensApi(ask)).make({ name: 'Machine' })
      await ask({
        method: 'POST',
        url: '/user?username=x',
        headers,
        as: machine.as,
        password: machine.password,
      })
      await ask({ url: '/users', as: 'alice', headers })
      // Stopping records what was collected.
      await service.internalApp.close()
      const found = merge(await items(`?action=sign-in&outcome=refused&since=${before.toISOString()}`))
      const shown = found.map(({ address, requestId, target, detail }) => [
        (target as { account: string }).account,
        address,
        requestId,
        detail,
      ])
      const byText = (one: unknown, other: unknown) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1)
      t.match(shown.toSorted(byText), [
        ['alice', '192.0.2.7', 'r-1', { reason: 'wrong-password', count: 3, since: String }],
        ['alice', '192.0.2.99', 'r-of-the-proxy', { reason: 'wrong-password', count: 1 }],
        [null, '192.0.2.7', 'r-1', { reason: 'unknown-user', count: 1 }],
      ])
      t.equal(shown.length, 3)

      const nameIn = ({ principal }: Record<string, unknown>) => (principal as { name: string }).name
      const requests = merge(await items(`?action=request&since=${before.toISOString()}`))
      t.match(
        requests.toSorted((one, other) => byText(nameIn(one), nameIn(other))),
        [
          {
            outcome: 'refused',
            principal: { kind: 'user', name: 'alice', id: String },
            address: '192.0.2.7',
            requestId: 'r-1',
            target: { kind: 'request', method: 'DELETE', path: '/user', name: 'DELETE /user' },
            detail: { count: 2, since: String },
          },
          {
            principal: { kind: 'registry-token', name: 'machine' },
            target: { name: 'POST /user' },
            detail: { count: 1 },
          },
          {
            principal: { name: 'olga' },
            target: { path: '/containerregistries/registries/:registryId/tokens' },
            detail: { count: 1 },
          },
        ],
      )
      t.equal(requests.length, 3, 'a refused GET is no event')
      t.notMatch(JSON.stringify(requests), /secret-x|password/)
      t.notMatch(JSON.stringify(found), /not-a-user|"wrong"/)
    },
  )
})

/** Refusals are collected for five seconds, so that a slow run records equal ones twice. Adds their counts. */
function merge(events: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  const detailOf = ({ detail }: Record<string, unknown>) => detail as { count: number; since?: string }
  const groups = Map.groupBy(events, (event) => {
    const detail = { ...detailOf(event), count: 0, since: '' }
    return JSON.stringify({ ...event, id: '', time: '', detail })
  })
  return [...groups.values()].map((group) => {
    const count = group.reduce((sum, event) => sum + detailOf(event).count, 0)
    const since = group.map((event) => detailOf(event).since).find((time) => time !== undefined)
    return { ...group[0], detail: { ...detailOf(group[0]!), count, ...(since !== undefined && { since }) } }
  })
}

/** An event with a detail of about 10 KB. */
const EVENT = {
  position: { micros: '1', id: '1' },
  time: new Date(),
  action: 'push',
  principal: { kind: 'user', id: '1', name: 'jane' },
  address: null,
  requestId: null,
  target: { kind: 'manifest', name: 'a@sha256:a' },
  outcome: 'done',
  detail: { text: 'x'.repeat(10_000) },
} as const satisfies StoredEvent

t.test('a stream waits for a slow client, and ends when the client disconnects', async (t) => {
  const [state, limit] = [{ batches: 0, ended: false }, 100_000]
  async function* endless() {
    try {
      while (state.batches < limit) {
        state.batches += 1
        yield [EVENT]
      }
    } finally {
      state.ended = true
    }
  }
  const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
  await app.register(auditRoutes, {
    realm: 'test',
    signIn: {
      withPassword: async () => ({
        outcome: 'account',
        account: makeAccount({ role: 'cluster-administrator' }),
        offline: false,
      }),
      withRefreshToken: async () => ({ outcome: 'refused' }),
      rememberRefreshToken: () => undefined,
    },
    findIdentity: async () => undefined,
    sessions: { hasCookie: () => false, findAccount: async () => undefined },
    noteRefusal: () => undefined,
    now: Date.now,
    unavailableDependency: () => undefined,
    listEvents: {
      page: async () => ({ events: [], next: undefined }),
      stream: async () => endless(),
    },
  })
  t.teardown(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const auth = 'root:x'
  const sent = get({ host: '127.0.0.1', port, path: '/audit', auth, headers: NDJSON })
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let batches = -1
  await until(() => {
    const before = batches
    batches = state.batches
    return batches > 0 && batches === before
  }, 'the stream has filled the buffers')
  t.ok(state.batches < limit / 2, `${state.batches} batches for a client that reads nothing`)
  t.equal(state.ended, false)
  response.destroy()
  await until(() => state.ended, 'the stream has ended')
})
