import { createMetrics, createServer } from '@registry-manager/http'
import t from 'tap'
import type { Account, AccountRef } from '../../src/principals/account.ts'
import type { Accounts } from '../../src/accounts/index.ts'
import { usersApi } from '../../src/accounts/index.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const root = makeAccount({ id: 'id-of-root', username: 'root', role: 'cluster-administrator' })
const alice = makeAccount({ id: 'id-of-alice' })
/** The account that has the username alice by now. */
const next = makeAccount({ id: 'id-of-the-next-alice' })

/** The users API with accounts that record which account each call is about. */
async function startApi(principal: Account) {
  const calls: [string, unknown][] = []
  const record = (method: string) => async (ref: AccountRef) => {
    calls.push([method, typeof ref === 'string' ? ref : ref.id])
    return method === 'find' ? (typeof ref === 'string' ? next : ref) : { user: next }
  }
  const app = createServer({ name: 'users', logLevel: 'silent', metrics: createMetrics('users') })
  await app.register(usersApi, {
    realm: 'registry.test',
    signIn: {
      withPassword: async () => ({ outcome: 'account', account: principal, offline: false }),
    } as never,
    findIdentity: async () => undefined,
    sessions: { hasCookie: () => false, findAccount: async () => undefined },
    noteRefusal: () => undefined,
    now: Date.now,
    unavailableDependency: () => undefined,
    lookUpUser: undefined,
    providers: [],
    accounts: Object.fromEntries(
      ['find', 'change', 'delete', 'endSessions'].map((method) => [method, record(method)]),
    ) as unknown as Accounts,
  })
  t.teardown(() => app.close())
  return { app, calls }
}

const PASSWORD = '/user/password?password=another-password'
const CASES = [
  ["a change of one's own password", alice, 'POST', PASSWORD, 'change', 'id-of-alice'],
  [
    "a change of one's own password by name",
    alice,
    'POST',
    `${PASSWORD}&username=alice`,
    'change',
    'id-of-alice',
  ],
  ["a read of one's own record", alice, 'GET', '/user', 'find', 'id-of-alice'],
  [
    "ending one's own sessions",
    alice,
    'DELETE',
    '/user/sessions?username=alice',
    'endSessions',
    'id-of-alice',
  ],
  [
    "a change of another user's password",
    root,
    'POST',
    `${PASSWORD}&username=alice`,
    'change',
    'id-of-the-next-alice',
  ],
  [
    "a change of another user's fields",
    root,
    'PATCH',
    '/user?username=alice&enabled=0',
    'change',
    'id-of-the-next-alice',
  ],
  ["a read of another user's record", root, 'GET', '/user?username=alice', 'find', 'alice'],
] as const

for (const [title, principal, method, url, call, ref] of CASES) {
  t.test(
    `${title} applies to the account that was looked up, even if a new account has taken its username since`,
    async (t) => {
      const { app, calls } = await startApi(principal)
      const authorization = `Basic ${btoa('somebody:a-good-password')}`
      const { statusCode } = await app.inject({ method, url, headers: { authorization } })
      t.ok(statusCode < 300, `${statusCode}`)
      t.same(calls.at(-1), [call, ref])
    },
  )
}
