import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { SERVICE, passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { SESSION_COOKIE, openBrowser } from '../fixtures/browser.ts'

const HOUR = 3_600_000

await onBothDatabases(t, async (t, db) => {
  const { ask, clock, users } = await startAuthService(t, db)
  t.beforeEach(() => {
    clock.ahead = 0
  })
  const status = async (browser: ReturnType<typeof openBrowser>, url = '/user') =>
    (await browser.open(url)).statusCode

  t.test('the users API accepts a browser session', async (t) => {
    const browser = openBrowser(ask)
    t.equal(await status(browser), 401)
    const response = await browser.signIn('alice')
    t.match([response.statusCode, response.headers.location], [303, '/sign-in'])
    t.match(response.headers['set-cookie'], /; Path=\/; HttpOnly; SameSite=Lax; Secure$/)
    t.match((await browser.open('/user')).json(), { username: 'alice' })
    t.equal(await status(browser, '/users'), 403, 'with the rights of the account')
    t.match((await browser.open('/sign-in/session')).json(), { username: 'alice', namespaces: ['team'] })
  })

  t.test('only a hash of the session is stored', async (t) => {
    const browser = openBrowser(ask)
    await browser.signIn('alice')
    const secret = browser.cookies.get(SESSION_COOKIE) ?? ''
    t.match(secret, /^[\w-]{43}$/, '256 random bits')
    const rows = await db.selectFrom('browser_sessions').selectAll().execute()
    t.notOk(rows.some(({ token_hash: hash }) => hash.equals(Buffer.from(secret, 'base64url'))))
    t.notMatch(JSON.stringify(rows), secret)
  })

  t.test('a change with a session needs the CSRF token of that session', async (t) => {
    const [root, other] = [openBrowser(ask), openBrowser(ask)]
    await root.signIn('root')
    await other.signIn('root')
    const url = '/user/namespaces'
    const form = { username: 'alice', namespaces: 'team' }
    const tokenOfOther = await other.csrfToken()
    for (const token of [undefined, '', 'x', tokenOfOther]) {
      const refused = await root.submit(url, form, token === undefined ? {} : { 'x-csrf-token': token })
      t.match([refused.statusCode, refused.json().detail], [403, /requires the header X-CSRF-Token/])
    }
    const accepted = await root.submit(url, form, { 'x-csrf-token': await root.csrfToken() })
    t.equal(accepted.statusCode, 200)
    const foreign = { origin: 'https://evil.example', 'x-csrf-token': await root.csrfToken() }
    t.equal((await root.submit(url, form, foreign)).statusCode, 403, 'a page of another origin')
  })

  t.test(
    'a session ends after two hours without a request, and after twelve hours in any case',
    async (t) => {
      const [idle, busy] = [openBrowser(ask), openBrowser(ask)]
      await idle.signIn('alice')
      await busy.signIn('alice')
      clock.ahead = 2 * HOUR - 60_000
      t.equal(await status(busy), 200)
      clock.ahead = 2 * HOUR + 1000
      t.equal(await status(idle), 401)
      for (let hours = 3; hours < 12; hours += 1) {
        clock.ahead = hours * HOUR
        t.equal(await status(busy), 200, `after ${hours} hours`)
      }
      clock.ahead = 12 * HOUR + 1000
      t.equal(await status(busy), 401)
      t.match((await busy.open('/user')).headers['www-authenticate'], /^Bearer/, 'browsers show no window')
    },
  )

  t.test('every change that revokes tokens ends the sessions of the account', async (t) => {
    const changes = [
      () => users.change('bob', { role: 'administrator' }),
      () => users.change('bob', { password: passwordOf('bob') }),
      () => users.endSessions('bob'),
      () => users.change('bob', { enabled: false }),
    ]
    await users.create({
      username: 'bob',
      directory: false,
      role: 'user',
      enabled: true,
      namespaces: [],
      password: passwordOf('bob'),
    })
    for (const change of changes) {
      const browser = openBrowser(ask)
      await browser.signIn('bob')
      t.equal(await status(browser), 200)
      await change()
      t.equal(await status(browser), 401)
    }
    await users.change('bob', { enabled: true })
    const browser = openBrowser(ask)
    await browser.signIn('bob')
    await users.delete('bob')
    t.equal(await status(browser), 401)
  })

  t.test('signing out ends the session, also for a copy of its cookie', async (t) => {
    const [browser, thief] = [openBrowser(ask), openBrowser(ask)]
    await browser.signIn('alice')
    thief.cookies.set(SESSION_COOKIE, browser.cookies.get(SESSION_COOKIE) ?? '')
    t.equal((await browser.submit('/sign-out', { csrf_token: 'x' })).statusCode, 403)
    t.equal(await status(thief), 200)
    const response = await browser.submit('/sign-out', { csrf_token: await browser.csrfToken() })
    t.match([response.statusCode, response.headers.location], [303, '/sign-in'])
    t.notOk(browser.cookies.has(SESSION_COOKIE))
    t.equal(await status(thief), 401)
  })

  t.test(
    'a sign-in ends the session that the browser had, so that nobody can prepare a session',
    async (t) => {
      const browser = openBrowser(ask)
      await browser.signIn('alice')
      const before = browser.cookies.get(SESSION_COOKIE) ?? ''
      await browser.signIn('olga')
      t.not(browser.cookies.get(SESSION_COOKIE), before)
      const old = openBrowser(ask)
      old.cookies.set(SESSION_COOKIE, before)
      t.equal(await status(old), 401)
      t.match((await browser.open('/user')).json(), { username: 'olga' })
    },
  )

  t.test('an Authorization header counts instead of the session', async (t) => {
    const browser = openBrowser(ask)
    await browser.signIn('alice')
    t.equal((await browser.send({ url: '/user', as: 'root' })).json().username, 'root')
    t.equal((await browser.send({ url: '/user', as: 'root', password: 'wrong' })).statusCode, 401)
  })

  t.test('an account has at most 100 sessions; a new one ends the oldest', async (t) => {
    await db.deleteFrom('browser_sessions').execute()
    const { id: account_id } = (await users.find('alice')) ?? { id: '' }
    const [start, expires_at] = [Date.now(), new Date(Date.now() + HOUR)]
    const rows = Array.from({ length: 100 }, (_, at) => ({
      token_hash: Buffer.alloc(32, at),
      account_id,
      generation: 1,
      created_at: new Date(start - at * 1000),
      expires_at,
    }))
    await db.insertInto('browser_sessions').values(rows).execute()
    await openBrowser(ask).signIn('alice')
    const left = await db.selectFrom('browser_sessions').select('token_hash').execute()
    t.equal(left.length, 100)
    t.notOk(left.some(({ token_hash: hash }) => hash.equals(Buffer.alloc(32, 99))))
  })

  t.test('sign-ins and sign-outs are events of the person', async (t) => {
    const browser = openBrowser(ask)
    await browser.signIn('olga')
    await browser.submit('/sign-out', { csrf_token: await browser.csrfToken() })
    const { items } = (await ask({ url: '/audit?principal=olga&limit=2', as: 'root' })).json()
    const common = {
      principal: { kind: 'user', name: 'olga' },
      target: { name: 'olga' },
      address: '127.0.0.1',
    }
    t.match(items, [
      { action: 'sign-out', ...common },
      { action: 'sign-in', outcome: 'done', detail: { by: 'password' }, ...common },
    ])
    t.notMatch(JSON.stringify(items), SERVICE)
  })
})
