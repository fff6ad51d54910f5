import { createMetrics, createServer } from '@registry-manager/http'
import t from 'tap'
import type { UsersStore } from '../../src/accounts/manage-users.ts'
import type { Account } from '../../src/accounts/account.ts'
import { users } from '../../src/accounts/users-routes.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const root = makeAccount({ id: 'id-of-root', username: 'root', role: 'cluster-administrator' })
const alice = makeAccount({ id: 'id-of-alice' })
/** Everybody who is asked for by name is this one: the last to get the name. */
const next = makeAccount({ id: 'id-of-the-next-alice' })

/** The routes before a store that notes whom it is asked about. */
async function startRoutes(principal: Account) {
  const asked: [string, unknown][] = []
  const note = (what: string) => async (whom: unknown) => {
    asked.push([what, typeof whom === 'string' ? whom : (whom as Account).id])
    return what === 'find' ? (typeof whom === 'string' ? next : whom) : { user: next }
  }
  const app = createServer({ name: 'users', logLevel: 'silent', metrics: createMetrics('users') })
  await app.register(users, {
    realm: 'registry.test',
    signIn: {
      withPassword: async () => ({ outcome: 'account', account: principal, offline: false }),
    } as never,
    verifyToken: async () => undefined,
    findPrincipalById: async () => undefined,
    unavailableDependency: () => undefined,
    enrol: async () => ({}) as never,
    users: Object.fromEntries(
      ['find', 'change', 'delete', 'endSessions'].map((what) => [what, note(what)]),
    ) as unknown as UsersStore,
  })
  t.teardown(() => app.close())
  return { app, asked }
}

const PASSWORD = '/user/password?password=another-password'
const CASES = [
  ['their own password', alice, 'POST', PASSWORD, 'change', 'id-of-alice'],
  ['their own password, by name', alice, 'POST', `${PASSWORD}&username=alice`, 'change', 'id-of-alice'],
  ['their own record', alice, 'GET', '/user', 'find', 'id-of-alice'],
  ['their own sign-ins', alice, 'DELETE', '/user/sessions?username=alice', 'endSessions', 'id-of-alice'],
  ["somebody's password", root, 'POST', `${PASSWORD}&username=alice`, 'change', 'id-of-the-next-alice'],
  ["somebody's fields", root, 'PATCH', '/user?username=alice&enabled=0', 'change', 'id-of-the-next-alice'],
  ["somebody's record", root, 'GET', '/user?username=alice', 'find', 'alice'],
] as const

for (const [why, principal, method, url, what, whom] of CASES) {
  t.test(`${why}: of the account that was looked at`, async (t) => {
    const { app, asked } = await startRoutes(principal)
    const authorization = `Basic ${btoa('somebody:a-good-password')}`
    const { statusCode } = await app.inject({ method, url, headers: { authorization } })
    t.ok(statusCode < 300, `${statusCode}`)
    t.same(asked.at(-1), [what, whom])
  })
}
