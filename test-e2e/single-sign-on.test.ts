import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { freePort } from '../deploy/local/free-port.ts'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { ask } from './harness/ask.ts'
import { chromiumIsMissing, openChromium } from './harness/chromium.ts'
import { ensureCommands, findCommand } from './harness/debian-packages.ts'
import { createDockerConfig, dockerIsMissing } from './harness/docker-engine.ts'
import { planProvider, signInAtProvider, startProvider } from './harness/oidc-provider.ts'
import { runCommand } from './harness/run-command.ts'
import { createSkopeo, skopeoIsMissing } from './harness/skopeo.ts'
import { NO_ENGINE, testSingleSignOnPage, writeProvidersFile } from './harness/single-sign-on-page.ts'
import { startSystem, tokenFor } from './harness/system.ts'
import { createWebClient } from './harness/web-client.ts'

/** Everything that was issued to an account ends within this time. */
const REVOKED_MS = 5000

const folder = await mkdtemp(join(tmpdir(), 'single-sign-on-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const plan = await planProvider()
const port = await freePort()
const env = { OIDC_PROVIDERS_FILE: await writeProvidersFile(folder, plan) }
const system = await startSystem(t, { port, env })
// The file of docs/single-sign-on.md lets the members of this group have accounts.
const groups = ['registry-users']
await startProvider(t, { ...plan, systemUrl: system.url, authority: system.authority, groups })

/** A person signs in at the provider with a new browser. */
async function signIn(username: string) {
  const client = createWebClient()
  const page = await client.open(`${system.url}/sign-in`)
  const login = await client.follow(page, 'Example Corp')
  return { client, page: await signInAtProvider(client, login, username) }
}

/**
 * The credentials of a signed-in person, as requests whose status says whether they still work: the session, an access
 * token at two services, and the personal token that the access token comes from.
 */
async function issueTo(username: string, { client, page }: Awaited<ReturnType<typeof signIn>>) {
  const made = await client.submit(page, '/sign-in/personal-tokens', { name: 'laptop', days: '7' })
  const credentials = { username, password: /rmp_\w{36}/.exec(made.text)?.[0] ?? '' }
  const bearer = await tokenFor(system, credentials)
  return {
    async session() {
      const headers = { cookie: client.cookieOf(system.url) }
      return (await fetch(`${system.url}/sign-in/session`, { headers })).status
    },
    accessToken: async () => (await ask(system, '/user', { bearer })).status,
    accessTokenAtTheProxy: async () => (await ask(system, '/v2/', { bearer })).status,
    personalToken: async () => (await ask(system, '/auth/v2/token', { as: credentials })).status,
  }
}

/** Checks that requests get a status on every replica within five seconds. */
async function allGet(t: Test, status: number, requests: Record<string, () => Promise<number>>) {
  const checks = Object.entries(requests).map(async ([name, request]) => {
    // Each of these requests is a sign-in. Failed ones of an address are limited to about twenty.
    const times = ['personalToken', 'refreshToken'].includes(name) ? 4 : 6
    const found = await waitForAllReplicas(request, status, REVOKED_MS, times)
    t.equal(found, status, `${name} gets ${status}`)
  })
  await Promise.all(checks)
}

const skipPage =
  (await ensureCommands({ curl: 'curl', jq: 'jq', docker: 'docker.io' })) ||
  (process.getuid?.() !== 0 && 'docker needs root')

t.test('every command of docs/single-sign-on.md works as printed', { skip: skipPage }, async (t) => {
  await testSingleSignOnPage(t, { system, signIn })
})

t.test('a person signs in at an OpenID Connect provider and gets an account', async (t) => {
  const { client, page } = await signIn('kim')
  t.match([page.url, page.status], [`${system.url}/sign-in`, 200])
  t.match(page.text, 'Signed in as kim')
  const user = await ask(system, '/user?username=kim', { as: system.admin })
  t.match(user.json, { username: 'kim', provider: 'corp', role: 'user' })
  const out = await client.submit(page, '/sign-out')
  t.match(out.text, 'name="password"')
  const again = await client.follow(out, 'Example Corp')
  t.match(again.text, 'Signed in as kim', 'the session at the provider goes on')
})

t.test('a sign-out at the provider ends sessions and access tokens on every replica in 5 s', async (t) => {
  const olga = await signIn('olga')
  const { personalToken, ...ending } = await issueTo('olga', olga)
  await allGet(t, 200, { personalToken, ...ending })
  const confirm = await olga.client.open(`${plan.issuer}/session/end`)
  await olga.client.submit(confirm, '/session/end/confirm', { logout: 'yes' })
  await allGet(t, 401, ending)
  await allGet(t, 200, { personalToken })
  t.match((await olga.client.open(`${system.url}/sign-in`)).text, 'name="password"')
})

t.test('a disabled account loses everything on every replica within five seconds', async (t) => {
  const local = await system.createUser('omar', [])
  const client = createWebClient()
  const form = await client.open(`${system.url}/sign-in`)
  const page = await client.submit(form, '/sign-in', { ...local })
  const login = await ask(system, '/auth/v2/token?offline_token=true', { as: local })
  const { refresh_token } = login.json as { refresh_token: string }
  const refresh = new URLSearchParams({ grant_type: 'refresh_token', service: system.host, refresh_token })
  const renewed = { method: 'POST', body: refresh.toString(), type: 'application/x-www-form-urlencoded' }
  const issued = {
    omar: {
      ...(await issueTo('omar', { client, page })),
      refreshToken: async () => (await ask(system, '/auth/v2/token', renewed)).status,
    },
    pia: await issueTo('pia', await signIn('pia')),
  }
  await Promise.all(Object.values(issued).map((requests) => allGet(t, 200, requests)))
  for (const username of Object.keys(issued)) {
    const body = JSON.stringify({ username, enabled: false })
    t.equal((await ask(system, '/user', { method: 'PATCH', as: system.admin, body })).status, 200)
  }
  await Promise.all(Object.values(issued).map((requests) => allGet(t, 401, requests)))
})

const skip = chromiumIsMissing()

t.test('Chromium goes through the sign-in at a provider, and signs out', { skip }, async (t) => {
  const { context, page, violations } = await openChromium(t)
  await page.goto(`${system.url}/sign-in?return_to=/sign-in`)
  await page.getByRole('link', { name: 'Example Corp' }).click()
  await page.locator('input[name="login"]').fill('nina')
  await page.locator('input[name="password"]').fill('any')
  await page.locator('button[type="submit"]').click()
  await page.locator('button[type="submit"]').click()
  await page.waitForURL(`${system.url}/sign-in`)
  t.match(await page.locator('h1').textContent(), 'Signed in as nina')
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
  t.match(await page.locator('h1').textContent(), `Signed in as ${system.admin.username}`)
  t.strictSame(violations(), [], 'the policy blocks nothing that the pages need')
})

t.test('Chromium makes a personal token for docker, shows it once and deletes it', { skip }, async (t) => {
  const { page, violations } = await openChromium(t)
  await page.goto(`${system.url}/sign-in`)
  await page.locator('#username').fill(system.admin.username)
  await page.locator('#password').fill(system.admin.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator('#name').fill('laptop')
  await page.locator('#days').selectOption('7 days')
  await page.getByRole('button', { name: 'Make a personal token' }).click()
  const password = (await page.locator('#password').textContent()) ?? ''
  const command = (await page.locator('#command').textContent()) ?? ''
  t.equal(command, `docker login ${system.host} --username ${system.admin.username} --password-stdin`)
  t.notMatch(page.url(), password)

  const credentials = { username: system.admin.username, password }
  await t.test(
    'docker accepts the command that the page shows',
    { skip: await dockerIsMissing() },
    async (t) => {
      const [docker = '', ...args] = command.split(' ')
      // Without an engine the command line signs in by itself.
      const env = { DOCKER_CONFIG: await createDockerConfig(join(folder, 'docker')), DOCKER_HOST: NO_ENGINE }
      const { stdout } = await runCommand(findCommand(docker) ?? docker, args, {
        env,
        input: `${password}\n`,
      })
      t.match(stdout, 'Login Succeeded')
    },
  )
  const skopeo = createSkopeo(system, folder, 'skopeo')
  await t.test(
    'skopeo accepts the password of the new personal token',
    { skip: await skopeoIsMissing() },
    async (t) => {
      t.match((await skopeo.login(credentials)).stdout, 'Login Succeeded')
    },
  )

  await page.reload()
  t.match(await page.getByRole('alert').textContent(), /its password cannot be shown again/)
  t.equal(await page.locator('tbody tr').count(), 1, 'the page was loaded again and made no second one')
  t.notMatch(await page.content(), password)
  await page.getByRole('button', { name: 'Delete laptop' }).click()
  await page.waitForURL(`${system.url}/sign-in`)
  t.equal(await page.locator('tbody tr').count(), 0)
  // After several refusals the status is 429 instead of 401.
  const works = async () => (await ask(system, '/auth/v2/token', { as: credentials })).status === 200
  t.equal(await waitForAllReplicas(works, false, REVOKED_MS), false, 'every replica refuses the password')
  t.strictSame(violations(), [], 'the policy blocks nothing that the pages need')
})
