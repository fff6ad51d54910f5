import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { until } from '@registry-manager/testing/until'
import { sql } from 'kysely'
import { SERVICE, startAuthService } from '../fixtures/auth-service.ts'
import { openBrowser } from '../fixtures/browser.ts'
import { personalTokensApi } from '../fixtures/personal-tokens.ts'

const db = await pgliteForTest(t)
const { ask, clock, lines } = await startAuthService(t, db)
const TOKENS = '/sign-in/personal-tokens'
const alices = personalTokensApi(ask, 'alice')
const namesOf = async (api = alices) =>
  (await api.list()).json().items.map(({ name }: { name: string }) => name) as string[]

const openAs = async (username: string) => {
  const browser = openBrowser(ask)
  await browser.signIn(username)
  const csrf_token = await browser.csrfToken()
  return {
    browser,
    send: (url: string, form: Record<string, string>) => browser.submit(url, { csrf_token, ...form }),
  }
}
const { browser, send } = await openAs('alice')
const make = (form: Record<string, string>) => send(TOKENS, { days: '30', ...form })
const passwordIn = (page: string) => /rmp_[0-9A-Za-z]{36}/.exec(page)?.[0] ?? ''

t.test('the page shows a new personal token once, with the finished command', async (t) => {
  const account = await browser.open('/sign-in')
  t.match(account.body, /action="\/sign-in\/personal-tokens"[^]*<option value="30" selected>30 days</)
  t.notMatch(account.body, /<script|\son\w+=|style=|https?:\/\//)
  const made = await make({ name: ' laptop ' })
  t.match([made.statusCode, made.headers['cache-control']], [200, 'no-store'])
  t.match(made.headers['content-security-policy'], /default-src 'none'.*form-action 'self'/)
  const password = passwordIn(made.body)
  t.ok(
    made.body.includes(`<pre id="command">docker login ${SERVICE} --username alice --password-stdin</pre>`),
    made.body,
  )
  t.equal((await ask({ url: '/auth/v2/token', as: 'alice', password })).statusCode, 200)
  const { expiryDate } = (await alices.list()).json().items[0]
  t.ok(Math.abs(Date.parse(expiryDate) - Date.now() - 30 * 86_400_000) < 60_000, expiryDate)
  for (const page of ['/sign-in', TOKENS]) {
    const later = await browser.open(page)
    t.notMatch(later.body, password)
    t.notMatch(later.headers.location ?? '', password)
  }
  t.notMatch(lines.join('\n'), password)
})

t.test('a form that is sent again makes no second token and does not show the first', async (t) => {
  const password = passwordIn((await make({ name: 'reloaded' })).body)
  t.not(password, '')
  const again = await make({ name: 'reloaded' })
  t.equal(again.statusCode, 409)
  t.match(
    again.body,
    /You already have a personal token with this name, and its password cannot be shown again/,
  )
  t.match(again.body, 'value="reloaded"')
  t.equal(passwordIn(again.body), '')
  t.strictSame((await namesOf()).filter((name) => name === 'reloaded').length, 1)
  const reopened = await browser.open(TOKENS)
  t.match([reopened.statusCode, reopened.headers.location], [303, '/sign-in'])
})

t.test('the page lists the personal tokens with their last use, and deletes them', async (t) => {
  const password = passwordIn((await make({ name: 'a <b>"quoted"' })).body)
  t.equal(password, '', 'a name has no markup')
  const { id, password: used } = await alices.make({ name: 'used' })
  const { id: other } = await personalTokensApi(ask, 'olga').make({ name: 'olgas' })
  await alices.make({ name: 'old', expiryDate: new Date(Date.now() + 60_000).toISOString() })
  clock.ahead += 61_000
  await ask({ url: '/auth/v2/token', as: 'alice', password: used })
  let page = ''
  await until(async () => {
    page = (await browser.open('/sign-in')).body
    return page.includes('from 127.0.0.1')
  }, 'the last use is shown')
  t.match(
    page,
    /<td>used<\/td>\s*<td>never<\/td>\s*<td>\d{4}-\d\d-\d\d \d\d:\d\d UTC from 127\.0\.0\.1<\/td>/,
  )
  t.match(page, /<td>old<\/td>\s*<td>expired \d{4}-/)
  t.notMatch(page, 'olgas')
  const deleted = await send(`${TOKENS}/delete`, { id })
  t.match([deleted.statusCode, deleted.headers.location], [303, '/sign-in'])
  t.notOk((await namesOf()).includes('used'))
  t.equal((await ask({ url: '/auth/v2/token', as: 'alice', password: used })).statusCode, 401)
  for (const id of [other, 'x', '', '00000000-0000-4000-8000-000000000000']) {
    t.equal((await send(`${TOKENS}/delete`, { id })).statusCode, 303, id)
  }
  t.strictSame(await namesOf(personalTokensApi(ask, 'olga')), ['olgas'], 'those of others stay')
})

t.test('the page shows live personal tokens however many expired ones there are', async (t) => {
  const olgas = personalTokensApi(ask, 'olga')
  await sql`insert into personal_tokens (account_id, name, expires_at, secret_hash)
    select id, 'device ' || number, now() - interval '1 hour', decode(md5(number::text), 'hex')
    from accounts, generate_series(1, 1100) number where username = 'olga'`.execute(db)
  const { id } = await olgas.make({ name: 'zebra' })
  const { browser: olga } = await openAs('olga')
  const { body } = await olga.open('/sign-in')
  t.match(body, '<td>zebra</td>')
  t.equal(body.match(/<td>device \d+<\/td>\s*<td>expired /g)?.length, 100)
  t.ok(body.indexOf('<td>zebra</td>') < body.indexOf('<td>device '), 'live personal tokens come first')
  t.equal((await olgas.delete(id)).statusCode, 204)
  await sql`delete from personal_tokens where name like 'device %'`.execute(db)
})

t.test('a message names bad fields of the form, and typed values stay', async (t) => {
  for (const [form, status, message] of [
    [{ name: '' }, 400, 'Name must be 1 to 64 letters'],
    [{ name: `-x` }, 400, 'Name must be 1 to 64 letters'],
    [{ name: 'x'.repeat(65) }, 400, 'Name must be 1 to 64 letters'],
    [{ name: 'good', days: '10000000' }, 400, 'Days must be 7, 30, 90 or 365'],
    [{ name: 'good', days: '-1' }, 400, 'Days must be 7, 30, 90 or 365'],
  ] as const) {
    const response = await make(form)
    t.equal(response.statusCode, status, JSON.stringify(form))
    t.match(response.body, message)
    t.ok(response.body.includes(`value="${form.name}"`))
  }
  t.notOk((await namesOf()).includes('good'))
  t.equal((await make({ name: 'for ever', days: '' })).statusCode, 200)
})

t.test('the forms need a session, its CSRF token and a page of ours', async (t) => {
  const before = await namesOf()
  const stranger = openBrowser(ask)
  const id = (await alices.list()).json().items[0].id as string
  const { browser: olga } = await openAs('olga')
  const csrfOfOlga = await olga.csrfToken()
  for (const [url, form] of [
    [TOKENS, { name: 'stolen', days: '30' }],
    [`${TOKENS}/delete`, { id }],
  ] as const) {
    const unknown = await stranger.submit(url, form)
    t.match([unknown.statusCode, unknown.headers.location], [303, '/sign-in'], 'without a session')
    for (const csrf_token of ['', 'x', csrfOfOlga]) {
      const refused = await browser.submit(url, { ...form, csrf_token })
      t.match([refused.statusCode, refused.body], [403, /This form is out of date/], csrf_token)
    }
    const csrf_token = await browser.csrfToken()
    for (const [name, value] of [
      ['origin', 'https://evil.example'],
      ['sec-fetch-site', 'cross-site'],
    ] as const) {
      const foreign = await browser.submit(url, { ...form, csrf_token }, { [name]: value })
      t.equal(foreign.statusCode, 403, name)
    }
    const basic = await ask({ method: 'POST', url, form, as: 'alice' })
    t.equal(basic.statusCode, 303, 'a password is no session')
  }
  t.strictSame(await namesOf(), before)
})

t.test('the command never names a host that the client chose', async (t) => {
  const form = { csrf_token: await browser.csrfToken(), name: 'host', days: '7' }
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example' }
  const { body } = await browser.submit(TOKENS, form, headers)
  t.match(body, `docker login ${SERVICE} `)
  t.notMatch(body, 'evil.example')
})
