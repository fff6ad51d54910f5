import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { Question } from '../fixtures/auth-service.ts'
import { passwordOf, startAuthService } from '../fixtures/auth-service.ts'

const { ask, askInternal, answers, clock, lines, users } = await startAuthService(t, await pgliteForTest(t))

const POST = { method: 'POST', url: '/auth/v2/token' } as const
const password = { grant_type: 'password', username: 'alice', password: passwordOf('alice') }
const url = (query: Record<string, string>) => `/auth/v2/token?${new URLSearchParams(query)}`

const BAD: readonly (readonly [why: string, field: string, question: Question])[] = [
  ['another service', 'service', { url: url({ service: 'other.example' }), as: 'alice' }],
  ['a form for another service', 'service', { ...POST, form: { ...password, service: 'other.example' } }],
  ['a form without grant_type', 'grant_type', { ...POST, form: {}, as: 'alice' }],
  ['another grant_type', 'grant_type', { ...POST, form: { ...password, grant_type: 'client_credentials' } }],
  ['a form without a username', 'username', { ...POST, form: { grant_type: 'password', password: 'x' } }],
  ['an empty grant_type', 'grant_type', { ...POST, form: { ...password, grant_type: '' } }],
  [
    'an empty username',
    'username',
    { ...POST, form: { grant_type: 'password', username: '', password: 'b' } },
  ],
  [
    'an empty refresh token',
    'refresh_token',
    { ...POST, form: { grant_type: 'refresh_token', refresh_token: '' } },
  ],
  ['a form without a password', 'password', { ...POST, form: { grant_type: 'password', username: 'x' } }],
  ['an empty password in a form', 'password', { ...POST, form: { ...password, password: '' } }],
  ['no refresh token', 'refresh_token', { ...POST, form: { grant_type: 'refresh_token' } }],
  ['no body', 'grant_type', POST],
  ['a username with NUL', 'username', { ...POST, form: { ...password, username: 'al\0ice' } }],
  [
    'a refresh token with NUL',
    'refresh_token',
    { ...POST, form: { grant_type: 'refresh_token', refresh_token: '\0' } },
  ],
  ['a body of JSON', 'grant_type', { ...POST, json: password }],
]

t.test('a bad token request is refused with 400 and the name of the parameter', async (t) => {
  for (const [why, field, question] of BAD) {
    const response = await ask(question)
    t.equal(response.statusCode, 400, why)
    t.match(response.json(), { errors: [{ code: /^[A-Z_]+$/, message: field, detail: { field } }] }, field)
  }
})

const UNKNOWN: readonly (readonly [why: string, question: Question])[] = [
  ['no credentials', { url: url({}) }],
  ['no credentials, with a scope', { url: url({ scope: 'repository:team/app:pull' }) }],
  ['a wrong password', { url: url({}), as: 'alice', password: 'another-password' }],
  ['an empty password', { url: url({}), as: 'alice', password: '' }],
  ['an unknown name', { url: url({}), as: 'nobody' }],
  ['an impossible name', { url: url({}), as: 'no/body ü' }],
  ['a disabled account', { url: url({}), as: 'eve' }],
  ['a directory account, whose password is not ours', { url: url({}), as: 'dora' }],
  ['a malformed header', { url: url({}), headers: { authorization: 'Basic !!' } }],
  ['another scheme', { url: url({}), headers: { authorization: 'Digest username="alice"' } }],
  [
    'a Bearer token that we did not issue',
    { url: url({ scope: 'repository:team/app:pull' }), bearer: 'a.b.c' },
  ],
  [
    'a Bearer token that is not a JWT',
    { url: url({ scope: 'repository:team/app:pull' }), bearer: 'rmr_abc' },
  ],
  ['a wrong password in a form', { ...POST, form: { ...password, password: 'another-password' } }],
  ['an unknown name in a form', { ...POST, form: { ...password, username: 'nobody' } }],
  ['an unknown refresh token', { ...POST, form: { grant_type: 'refresh_token', refresh_token: 'x' } }],
]

t.test('missing or wrong credentials are 401 with a Basic challenge', async (t) => {
  await users.create({ ...(await planOf('eve')), enabled: false })
  await users.create({ ...(await planOf('dora')), directory: true, password: null })
  for (const [why, question] of UNKNOWN) {
    const response = await ask(question)
    t.equal(response.statusCode, 401, why)
    t.match(response.headers['www-authenticate'], /^Basic realm="[^"]+"/, 'has a challenge')
    t.match(response.json(), { errors: [{ code: 'UNAUTHORIZED' }] })
  }
})

async function planOf(username: string) {
  const [role, namespaces] = ['user' as const, []]
  return { username, directory: false, role, enabled: true, namespaces, password: passwordOf(username) }
}

t.test('a token request with a body of more than 64 KiB is 413', async (t) => {
  const form = { ...password, client_id: 'x'.repeat(65_536) }
  const response = await ask({ ...POST, form })
  t.equal(response.statusCode, 413)
  t.match(response.json(), { errors: [{ code: 'SIZE_INVALID' }] })
})

t.test('other methods and paths of the token endpoint are 404', async (t) => {
  for (const method of ['PUT', 'PATCH', 'DELETE'] as const) {
    t.equal((await ask({ method, url: '/auth/v2/token', as: 'alice' })).statusCode, 404, method)
  }
  for (const path of ['/auth/v2', '/auth/v2/tokens', '/auth/v2/token/x', '/auth/v1/token', '/auth/token']) {
    t.equal((await ask({ url: path, as: 'alice' })).statusCode, 404, path)
  }
})

t.test('too many failed sign-ins are 429 with Retry-After', async (t) => {
  let status = 0
  for (let attempt = 0; attempt < 30 && status !== 429; attempt += 1) {
    status = (await ask({ url: '/auth/v2/token', as: 'mallory' })).statusCode
  }
  const response = await ask({ ...POST, form: { ...password, username: 'mallory' } })
  t.equal(response.statusCode, 429)
  t.ok(Number(response.headers['retry-after']) > 0)
  const message = `too many failed sign-ins; retry in ${response.headers['retry-after']} seconds`
  t.match(response.json(), { errors: [{ code: 'TOOMANYREQUESTS', message }] })
  const { body } = await askInternal({ url: '/metrics' })
  for (const outcome of ['refused', 'throttled'])
    t.match(body, new RegExp(`^sign_ins_total\\{outcome="${outcome}",by="password",.*\\} [1-9]`, 'm'))
  clock.ahead += 61_000
  t.equal((await ask({ url: '/auth/v2/token', as: 'mallory' })).statusCode, 401)
  clock.ahead = 0
})

t.test('the token endpoint accepts any client id without NUL', async (t) => {
  for (const client of ['', 'docker', 'ü', "'", 'x'.repeat(20_000)]) {
    const form = { ...password, client_id: client, access_type: 'offline' }
    t.equal((await ask({ ...POST, form })).statusCode, 200, JSON.stringify(client.slice(0, 20)))
  }
})

t.test('no response and no log line has a password', async (t) => {
  for (const secret of [passwordOf('alice'), 'another-password', passwordOf('eve')]) {
    t.notMatch(answers.join(''), secret)
    t.notMatch(lines.join(''), secret)
  }
  t.notMatch(lines.join(''), '?', 'no log line has a query string')
})
