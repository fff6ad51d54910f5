import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { openBrowser } from '../fixtures/browser.ts'
import { personalTokensApi } from '../fixtures/personal-tokens.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const { ask, lines } = await startAuthService(t, await pgliteForTest(t))

t.test('the sign-in page has a form, and nothing that needs scripts or other hosts', async (t) => {
  const page = await openBrowser(ask).open('/sign-in')
  t.equal(page.statusCode, 200)
  t.match(page.headers, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': /^default-src 'none'; style-src 'self'; form-action 'self'/,
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
  })
  t.match(page.body, /<form method="post" action="\/sign-in">/)
  t.notMatch(page.body, /<script|\son\w+=|style=|https?:\/\//)
  const style = await openBrowser(ask).open('/sign-in/style.css')
  t.match([style.statusCode, style.headers['content-type']], [200, 'text/css; charset=utf-8'])
})

t.test('a signed-in person sees the account page, and is sent to the requested page', async (t) => {
  const browser = openBrowser(ask)
  const form = { username: 'Olga', password: passwordOf('olga'), return_to: '/device?user_code=X' }
  t.equal((await browser.submit('/sign-in', form)).headers.location, '/device?user_code=X')
  const page = await browser.open('/sign-in')
  t.match(page.body, /Signed in as olga[^]*administrator[^]*team[^]*action="\/sign-out"/)
  t.equal((await browser.open('/sign-in?return_to=/docs/auth')).headers.location, '/docs/auth')
})

t.test('a return_to of another host is ignored, in the query and in the form', async (t) => {
  for (const foreign of ['https://evil.example', '//evil.example', '/\\evil.example', '/.//evil.example']) {
    const browser = openBrowser(ask)
    const page = await browser.open(`/sign-in?return_to=${encodeURIComponent(foreign)}`)
    t.notMatch(page.body, 'evil', foreign)
    const form = { username: 'alice', password: passwordOf('alice'), return_to: foreign }
    t.equal((await browser.submit('/sign-in', form)).headers.location, '/sign-in', foreign)
    const again = await browser.open(`/sign-in?return_to=${encodeURIComponent(foreign)}`)
    t.equal(again.statusCode, 200, 'no redirect')
  }
})

t.test('a failed sign-in says why in plain words, and begins no session', async (t) => {
  const api = await tokensApi(ask)
  const token = await api.make({ name: 'machine' })
  const { password: personalToken } = await personalTokensApi(ask, 'alice').make({ name: 'laptop' })
  for (const [username, password, message] of [
    ['alice', 'not-the-password', 'The username or the password is wrong.'],
    ['nobody', 'x', 'The username or the password is wrong.'],
    ['', '', 'The username or the password is wrong.'],
    ['machine', token.password, 'A registry token cannot sign in here.'],
    ['alice', personalToken, 'A personal token cannot sign in here.'],
  ] as const) {
    const response = await openBrowser(ask).signIn(username, password)
    t.equal(response.statusCode, 403)
    t.match(response.body, message)
    t.notOk(response.headers['set-cookie'])
    if (password.length > 3) t.notMatch(response.body, password, 'the page does not repeat the password')
  }
  t.notMatch(lines.join('\n'), token.password)
})

t.test('typed values are escaped in the page', async (t) => {
  const response = await openBrowser(ask).signIn(`"><script>alert('x')</script>&`, 'wrong-password')
  t.match(response.body, 'value="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"')
  t.notMatch(response.body, '<script')
})

t.test('a sign-in from a page of another origin is refused', async (t) => {
  const form = { username: 'alice', password: passwordOf('alice') }
  for (const [name, value] of [
    ['origin', 'https://evil.example'],
    ['sec-fetch-site', 'cross-site'],
  ] as const) {
    const response = await openBrowser(ask).submit('/sign-in', form, { [name]: value })
    t.equal(response.statusCode, 403)
    t.notOk(response.headers['set-cookie'])
  }
})

t.test('failed sign-ins on the page are limited like all others', async (t) => {
  let response = await openBrowser(ask).signIn('alice', 'wrong')
  for (let count = 0; count < 30 && response.statusCode === 403; count += 1) {
    response = await openBrowser(ask).signIn('alice', `wrong ${count}`)
  }
  t.equal(response.statusCode, 429)
  t.match(response.headers['retry-after'], /^\d+$/)
  t.match(response.body, 'There were too many failed sign-ins.')
})

t.test('a sign-in with a JSON body, or with a field twice, is refused', async (t) => {
  const json = { method: 'POST', url: '/sign-in', json: { username: 'alice' } } as const
  const refused = await ask(json)
  t.ok(refused.statusCode === 403 || refused.statusCode === 415, `${refused.statusCode}`)
  const payload = `username=alice&username=root&password=${passwordOf('root')}`
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const twice = await ask({ method: 'POST', url: '/sign-in', payload, headers })
  t.ok([403, 429].includes(twice.statusCode), `${twice.statusCode}`)
})
