import type { Database } from '@registry-manager/database'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import type { Question } from '../fixtures/auth-service.ts'
import { SERVICE_CREDENTIAL, passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { PULL_TEAM, tokensApi } from '../fixtures/registry-tokens.ts'

interface Change {
  readonly title: string
  readonly question: Question
  readonly status: number
  /** The events, oldest first. */
  readonly events: readonly {
    readonly action: string
    readonly target: object
    /** Empty when left out. */
    readonly detail?: object
  }[]
  /** The principal of the request; root by default. */
  readonly as?: string
}

const HEADERS = { 'x-forwarded-for': '192.0.2.7', 'x-request-id': 'request-of-the-change' }
const EXPIRY = '2030-01-01T00:00:00.000Z'
const user = (account: string) => ({ kind: 'user', account, name: account })
const token = { kind: 'registry-token', account: 'CI-Team', name: 'CI-Team' }

/** All kinds of changes of accounts. Each needs the ones before it. */
function changesOf(tokens: string): readonly Change[] {
  const scopes = PULL_TEAM
  const more = [{ type: 'repository', name: 'other/*', actions: ['pull', 'push'] }]
  return [
    {
      title: 'a user is created',
      question: {
        method: 'POST',
        url: '/user',
        json: { username: 'Jane', password: 'secret-of-jane', namespaces: ['a'] },
      },
      status: 201,
      events: [
        {
          action: 'user.create',
          target: user('jane'),
          detail: { ad: false, role: 'user', enabled: true, namespaces: ['a'] },
        },
      ],
    },
    {
      title: 'rights of a user change',
      question: {
        method: 'PATCH',
        url: '/user',
        json: { username: 'jane', role: 'administrator', enabled: false },
      },
      status: 200,
      events: [
        {
          action: 'user.update',
          target: user('jane'),
          detail: { role: { from: 'user', to: 'administrator' }, enabled: { from: true, to: false } },
        },
      ],
    },
    {
      title: 'namespaces of a user change',
      question: {
        method: 'POST',
        url: '/user/namespaces',
        json: { username: 'jane', namespaces: ['a', 'b'] },
      },
      status: 200,
      events: [
        {
          action: 'user.update',
          target: user('jane'),
          detail: { namespaces: { from: ['a'], to: ['a', 'b'] } },
        },
      ],
    },
    {
      title: 'a password and a right change in one request',
      question: {
        method: 'PATCH',
        url: '/user',
        json: { username: 'jane', password: 'secret-of-jane-2', enabled: true },
      },
      status: 200,
      events: [
        { action: 'user.password', target: user('jane') },
        { action: 'user.update', target: user('jane'), detail: { enabled: { from: false, to: true } } },
      ],
    },
    {
      title: 'an administrator changes the password of a user',
      question: {
        method: 'POST',
        url: '/user/password',
        json: { username: 'jane', password: 'secret-of-jane-3' },
      },
      status: 204,
      events: [{ action: 'user.password', target: user('jane') }],
    },
    {
      title: 'users change their own password',
      as: 'alice',
      question: { method: 'POST', url: '/user/password', json: { password: passwordOf('alice') } },
      status: 204,
      events: [{ action: 'user.password', target: user('alice') }],
    },
    {
      title: 'an administrator ends the sessions of a user',
      question: { method: 'DELETE', url: '/user/sessions?username=jane' },
      status: 204,
      events: [{ action: 'sessions.end', target: user('jane') }],
    },
    {
      title: 'users end their own sessions',
      as: 'alice',
      question: { method: 'DELETE', url: '/user/sessions' },
      status: 204,
      events: [{ action: 'sessions.end', target: user('alice') }],
    },
    {
      title: 'a user is deleted',
      question: { method: 'DELETE', url: '/user?username=jane' },
      status: 204,
      events: [
        {
          action: 'user.delete',
          target: user('jane'),
          detail: { role: 'administrator', namespaces: ['a', 'b'] },
        },
      ],
    },
    {
      title: 'a registry token is created',
      question: {
        method: 'PUT',
        url: `${tokens}/11111111-1111-4111-8111-111111111111`,
        json: { properties: { name: 'CI-Team', expiryDate: null, scopes } },
      },
      status: 201,
      events: [
        {
          action: 'registry-token.create',
          target: { ...token, id: '11111111-1111-4111-8111-111111111111' },
          detail: { scopes, expiryDate: null, status: 'enabled' },
        },
      ],
    },
    {
      title: 'a registry token is changed',
      question: {
        method: 'PATCH',
        url: `${tokens}/11111111-1111-4111-8111-111111111111`,
        json: { scopes: more, expiryDate: EXPIRY, status: 'disabled' },
      },
      status: 200,
      events: [
        {
          action: 'registry-token.update',
          target: token,
          detail: {
            scopes: { from: scopes, to: more },
            expiryDate: { from: null, to: EXPIRY },
            status: { from: 'enabled', to: 'disabled' },
          },
        },
      ],
    },
    {
      title: 'a registry token gets a new password and another status',
      question: {
        method: 'PUT',
        url: `${tokens}/11111111-1111-4111-8111-111111111111?overlap=60`,
        json: { properties: { name: 'CI-Team', expiryDate: EXPIRY, scopes: more } },
      },
      status: 200,
      events: [
        {
          action: 'registry-token.rotate',
          target: token,
          detail: { overlapSeconds: 60, status: { from: 'disabled', to: 'enabled' } },
        },
      ],
    },
    {
      title: 'a registry token is deleted',
      question: { method: 'DELETE', url: `${tokens}/11111111-1111-4111-8111-111111111111` },
      status: 204,
      events: [{ action: 'registry-token.delete', target: token, detail: { scopes: more } }],
    },
  ]
}

/** Lets the commit of every transaction fail that has inserted an event. */
async function failCommits(db: Database): Promise<() => Promise<unknown>> {
  await sql`create function fail() returns trigger language plpgsql as
    $$ begin raise exception 'the commit fails'; end $$`.execute(db)
  await sql`create constraint trigger fail_commits after insert on events
    deferrable initially deferred for each row execute function fail()`.execute(db)
  return () => sql`drop function fail() cascade`.execute(db)
}

await onBothDatabases(t, async (t, db) => {
  const { ask, askInternal, lines } = await startAuthService(t, db, { trustedProxies: '127.0.0.1' })
  const tokens = await tokensApi(ask)
  const ids = new Map(
    (await db.selectFrom('accounts').select(['username', 'id']).execute()).map((row) => [
      row.username,
      row.id,
    ]),
  )
  const events = () => db.selectFrom('events').selectAll().orderBy('id').execute()

  for (const { title, question, status, events: expected, as = 'root' } of changesOf(tokens.base)) {
    await t.test(`an event is recorded when ${title}, in the same transaction`, async (t) => {
      const before = await events()
      const allow = await failCommits(db)
      t.equal((await ask({ ...question, as, headers: HEADERS })).statusCode, 500)
      await allow()
      t.equal((await events()).length, before.length, 'no event of a change that was rolled back')

      // The change succeeds only if the first attempt was undone.
      t.equal((await ask({ ...question, as, headers: HEADERS })).statusCode, status)
      const added = (await events()).slice(before.length)
      t.equal(added.length, expected.length)
      for (const [at, event] of added.entries()) {
        t.match(event, {
          ...expected[at],
          outcome: 'done',
          principal_kind: 'user',
          principal_id: ids.get(as),
          principal_name: as,
          address: '192.0.2.7',
          request_id: 'request-of-the-change',
        })
        const { detail = {} } = expected[at] ?? {}
        t.strictSame(event.detail, detail)
        t.notMatch(JSON.stringify(event), /secret|argon2|rmt_/)
      }
    })
  }

  await t.test('the principal is also known when a request comes with an identity token', async (t) => {
    const bearer = (await ask({ url: '/auth/v2/token', as: 'root' })).json().token as string
    const before = (await events()).length
    const question = { method: 'POST', url: '/user/namespaces', bearer, headers: HEADERS } as const
    t.equal((await ask({ ...question, json: { username: 'alice', namespaces: ['x'] } })).statusCode, 200)
    t.match((await events()).slice(before), [
      { action: 'user.update', principal_kind: 'user', principal_name: 'root', address: '192.0.2.7' },
    ])
  })

  await t.test('a request that changes nothing, or is refused, records no change', async (t) => {
    const made = await tokens.make({ name: 'quiet' })
    const before = (await events()).length
    for (const question of [
      { method: 'PATCH', url: '/user', json: { username: 'alice', role: 'user', enabled: true } },
      { method: 'PATCH', url: `${tokens.base}/${made.id}`, json: { scopes: PULL_TEAM, status: 'enabled' } },
      { method: 'POST', url: '/user', json: { username: 'alice', password: 'a-good-password' } },
      { method: 'POST', url: tokens.base, json: { properties: { name: 'quiet' } } },
      { method: 'DELETE', url: '/user?username=root' },
      { method: 'DELETE', url: '/user?username=nobody' },
      { method: 'PATCH', url: '/user', json: { username: 'alice', role: 'king' } },
    ] as const) {
      const { statusCode } = await ask({ ...question, as: 'root', headers: HEADERS })
      t.ok([200, 400, 404, 409].includes(statusCode), `${question.method} ${question.url}: ${statusCode}`)
    }
    t.equal((await events()).length, before)
  })

  await t.test('the log names the account of a request', async (t) => {
    const from = lines.length
    await ask({ url: '/user', as: 'alice', headers: HEADERS })
    await ask({ url: '/user' })
    await ask({ url: '/auth/v2/token', as: 'olga' })
    await askInternal({
      method: 'POST',
      url: '/internal/token-exchanges',
      bearer: SERVICE_CREDENTIAL,
      json: { username: 'alice', password: 'alice-password', address: '192.0.2.7', access: null },
    })
    const completed = lines
      .slice(from)
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => msg === 'request completed')
    t.strictSame(
      completed.map(({ account, res }) => [account, res.statusCode]),
      [
        ['alice', 200],
        [undefined, 401],
        ['olga', 200],
        ['alice', 200],
      ],
    )
    t.equal(completed[0]?.reqId, 'request-of-the-change')
  })
})
