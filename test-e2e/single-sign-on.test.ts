import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { findCommand } from '../deploy/local/find-command.js'
import { freePort } from '../deploy/local/free-port.ts'
import { ask } from './harness/ask.ts'
import { planProvider, signInAtProvider, startProvider } from './harness/oidc-provider.ts'
import { startSystem } from './harness/system.ts'
import { createWebClient } from './harness/web-client.ts'

/** Everything that was issued to an account ends within this time. */
const REVOKED_MS = 5000

const plan = await planProvider()
const providers = [
  { id: 'corp', label: 'Example Corp', ...plan, groupsClaim: 'groups', createAccounts: true },
]
const port = await freePort()
const system = await startSystem(t, { port, env: { OIDC_PROVIDERS: JSON.stringify(providers) } })
const groups = { jane: ['developers'] }
await startProvider(t, { ...plan, systemUrl: system.url, authority: system.authority, groups })

/** A person signs in at the provider with a new browser. */
async function signIn(username: string) {
  const client = createWebClient()
  const page = await client.open(`${system.url}/sign-in`)
  const login = await client.follow(page, 'Example Corp')
  return { client, page: await signInAtProvider(client, login, username) }
}

t.test('a person signs in at an OpenID Connect provider and gets an account', async (t) => {
  const { client, page } = await signIn('jane')
  t.match([page.url, page.status], [`${system.url}/sign-in`, 200])
  t.match(page.text, 'Signed in as jane')
  const user = await ask(system, '/user?username=jane', { as: system.admin })
  t.match(user.json, { username: 'jane', provider: 'corp', role: 'user' })
  const out = await client.submit(page, '/sign-out')
  t.match(out.text, 'name="password"')
  const again = await client.follow(out, 'Example Corp')
  t.match(again.text, 'Signed in as jane', 'the session at the provider goes on')
})

t.test('a sign-out at the provider ends the sessions here within five seconds', async (t) => {
  const { client } = await signIn('olga')
  const session = async () => {
    const headers = { cookie: client.cookieOf(system.url) }
    return (await fetch(`${system.url}/sign-in/session`, { headers })).status
  }
  t.equal(await session(), 200)
  const confirm = await client.open(`${plan.issuer}/session/end`)
  const startedAt = Date.now()
  await client.submit(confirm, '/session/end/confirm', { logout: 'yes' })
  await until(async () => (await session()) === 401, 'the session has ended')
  t.ok(Date.now() - startedAt < REVOKED_MS, `${Date.now() - startedAt} ms`)
  t.match((await client.open(`${system.url}/sign-in`)).text, 'name="password"')
})

const chromium = findCommand('chromium')
const skip = chromium === undefined && 'not installed: chromium'

t.test('Chromium goes through the sign-in at a provider, and signs out', { skip }, async (t) => {
  const { chromium: browserType } = await import('playwright-core')
  const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync']
  const quiet = ['--disable-background-networking', '--disable-component-update']
  const browser = await browserType.launch({
    executablePath: chromium ?? '',
    args: [...flags, ...quiet],
  })
  t.teardown(() => browser.close())
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  const messages: string[] = []
  page.on('console', (message) => messages.push(message.text()))

  await page.goto(`${system.url}/sign-in?return_to=/sign-in`)
  await page.getByRole('link', { name: 'Example Corp' }).click()
  await page.locator('input[name="login"]').fill('nina')
  await page.locator('input[name="password"]').fill('any')
  await page.locator('button[type="submit"]').click()
  await page.locator('button[type="submit"]').click()
  await page.waitForURL(`${system.url}/sign-in`)
  t.match(await page.getByRole('heading').textContent(), 'Signed in as nina')
  const cookies = await context.cookies(system.url)
  const cookie = cookies.find(({ name }) => name.endsWith('-session'))
  const isSecure = system.url.startsWith('https:')
  t.match(cookie, { httpOnly: true, sameSite: 'Lax', secure: isSecure, expires: -1 })
  t.equal(cookie?.name.startsWith('__Host-'), isSecure)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForSelector('input[name="password"]')
  t.strictSame(
    await context.cookies(system.url).then((all) => all.filter(({ name }) => name.endsWith('-session'))),
    [],
  )

  await page.locator('#username').fill(system.admin.username)
  await page.locator('#password').fill(system.admin.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  t.match(await page.getByRole('heading').textContent(), `Signed in as ${system.admin.username}`)
  t.strictSame(
    messages.filter((message) => /Content Security Policy|refused/i.test(message)),
    [],
    'the policy blocks nothing that the pages need',
  )
})
