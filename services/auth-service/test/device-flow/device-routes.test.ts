import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { SERVICE, startAuthService } from '../fixtures/auth-service.ts'
import { openBrowser } from '../fixtures/browser.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
const { ask, clock } = await startAuthService(t, await pgliteForTest(t))
const begin = async () =>
  (await ask({ method: 'POST', url: '/device/authorization', form: { client_id: 'laptop' } })).json()
const poll = (device_code: string) => {
  clock.ahead += 6000
  return ask({ method: 'POST', url: '/auth/v2/token', form: { grant_type: GRANT, device_code } })
}

t.test('a device gets a password for docker after a signed-in person has confirmed its code', async (t) => {
  const begun = await begin()
  t.match(begun, {
    user_code: /^[B-Z]{4}-[B-Z]{4}$/,
    verification_uri: `https://${SERVICE}/device`,
    verification_uri_complete: `https://${SERVICE}/device?user_code=${begun.user_code}`,
    expires_in: 600,
    interval: 5,
  })
  const pending = await poll(begun.device_code)
  t.match([pending.statusCode, pending.json().error], [400, 'authorization_pending'])
  const browser = openBrowser(ask)
  const page = `/device?user_code=${begun.user_code}`
  const redirected = await browser.open(page)
  t.equal(redirected.headers.location, `/sign-in?return_to=${encodeURIComponent(page)}`)
  await browser.signIn('alice')
  const confirm = await browser.open(page)
  t.match(confirm.body, /as <strong>alice<\/strong>[^]*laptop[^]*127\.0\.0\.1/)
  const form = { user_code: begun.user_code, decision: 'allow' }
  t.equal((await browser.submit('/device', { ...form, csrf_token: 'x' })).statusCode, 403)
  const allowed = await browser.submit('/device', { ...form, csrf_token: await browser.csrfToken() })
  t.match([allowed.statusCode, allowed.body], [200, /The device is signed in/])
  const issued = await poll(begun.device_code)
  t.match([issued.statusCode, issued.headers['cache-control']], [200, 'no-store'])
  const { username, access_token: password } = issued.json()
  t.equal(username, 'alice')
  t.equal((await ask({ url: '/auth/v2/token', as: username, password })).statusCode, 200)
  t.match((await poll(begun.device_code)).json(), { error: 'invalid_grant' })
})

t.test('a refused device gets no token, and wrong codes are limited', async (t) => {
  const begun = await begin()
  const browser = openBrowser(ask)
  await browser.signIn('olga')
  const csrf_token = await browser.csrfToken()
  await browser.submit('/device', { user_code: begun.user_code, decision: 'deny', csrf_token })
  t.match((await poll(begun.device_code)).json(), { error: 'access_denied' })
  let response = await browser.open('/device?user_code=BBBB-BBBB')
  for (let count = 0; count < 20 && response.statusCode === 404; count += 1) {
    response = await browser.open('/device?user_code=BBBB-BBBB')
  }
  t.match([response.statusCode, response.headers['retry-after']], [429, /^\d+$/])
})
