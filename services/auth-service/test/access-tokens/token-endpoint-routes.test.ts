import { createTokenVerifier } from '@registry-manager/principal'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { planUser } from '../fixtures/accounts.ts'
import { SERVICE, claimsOf, passwordOf, startAuthService } from '../fixtures/auth-service.ts'

const { ask, keys, users } = await startAuthService(t, await pgliteForTest(t))

const PATHS = [
  '/auth/v2/token',
  '/auth/v2/token/',
  '/image-manager/api/v1/auth/token',
  '/image-manager/api/v1/auth/token/',
]
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const password = { grant_type: 'password', username: 'alice', password: passwordOf('alice') }
const scope = 'repository:team/app:pull,push'
const access = [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }]
const get = async (query: string, as = 'alice') => ask({ url: `/auth/v2/token?${query}`, as })
const accessOf = async (query: string, as = 'alice') => claimsOf((await get(query, as)).json().token).access

t.test('every path of the token endpoint responds the same to GET and POST', async (t) => {
  for (const path of PATHS) {
    const got = await ask({ url: `${path}?service=${SERVICE}&scope=${scope}`, as: 'alice' })
    const posted = await ask({ method: 'POST', url: path, form: { ...password, service: SERVICE, scope } })
    for (const [method, response] of Object.entries({ GET: got, POST: posted })) {
      t.equal(response.statusCode, 200, `${method} ${path}`)
      t.equal(response.headers['cache-control'], 'no-store')
      t.match(response.headers['content-type'], /^application\/json/)
      const { token, access_token, expires_in, issued_at, ...rest } = response.json()
      t.equal(token, access_token)
      t.ok(expires_in > 294 && expires_in <= 300, 'a token of the last five seconds is issued again')
      t.match(issued_at, RFC3339)
      t.strictSame(
        rest,
        method === 'POST' ? { scope } : {},
        'only POST returns a scope; nobody requested a refresh token',
      )
      t.strictSame(claimsOf(token).access, access)
      t.equal(Math.floor(Date.parse(issued_at) / 1000), claimsOf(token).iat)
    }
  }
})

t.test('the claims of an access token name the account', async (t) => {
  const { token } = (await get(`scope=${scope}`)).json()
  const alice = await users.find('alice')
  const claims = claimsOf(token)
  t.match(claims, { iss: SERVICE, aud: SERVICE, sub: 'alice', uid: alice?.id, gen: 1 })
  t.equal(claims.exp - claims.iat, 300)
  t.match(claims['jti'], /.{20}/)
  const findKey = async (kid: string) => keys.findKey(kid)
  const verify = createTokenVerifier({ issuer: SERVICE, audience: SERVICE, findKey })
  t.match(await verify(token), { sub: 'alice', access })
})

t.test('the token requests of the seeds get the printed responses', async (t) => {
  const catalog = await ask({
    url: '/image-manager/api/v1/auth/token?service=token-service&scope=registry:catalog:*',
    as: 'root',
  })
  t.strictSame(claimsOf(catalog.json().token).access, [{ type: 'registry', name: 'catalog', actions: ['*'] }])
  const pull = await ask({
    url: '/auth/v2/token/?service=registry.example&scope=repository:team/app:pull',
    as: 'root',
  })
  t.strictSame(claimsOf(pull.json().token).access, [
    { type: 'repository', name: 'team/app', actions: ['pull'] },
  ])
  const identity = await ask({ url: '/image-manager/api/v1/auth/token?service=token-service', as: 'root' })
  t.equal(claimsOf(identity.json().token).access, null)
})

t.test('an access token has requested ∩ permitted access', async (t) => {
  const pull = (name: string) => ({ type: 'repository', name, actions: ['pull'] })
  t.strictSame(
    await accessOf('scope=repository:other/app:pull'),
    [],
    'a request for nothing permitted is no error',
  )
  t.strictSame(await accessOf('scope=repository:team/app:pull+repository:other/app:pull'), [pull('team/app')])
  t.strictSame(
    await accessOf('scope=repository:team/a:pull&scope=repository:team/b:pull'),
    [pull('team/a'), pull('team/b')],
    'the scope parameter may be repeated',
  )
  t.strictSame(await accessOf('scope=repository:team/app:*', 'olga'), [
    { ...pull('team/app'), actions: ['pull', 'push', 'delete'] },
  ])
  t.strictSame(await accessOf('scope=repository:app:pull', 'olga'), [])
  t.strictSame(await accessOf('scope=repository:app:pull', 'root'), [pull('app')])
  const posted = await ask({
    method: 'POST',
    url: '/auth/v2/token',
    form: { ...password, scope: 'repository:team/app:pull repository:other/app:pull' },
  })
  t.equal(posted.json().scope, 'repository:team/app:pull', 'POST returns the granted scope')
})

t.test('a request without a scope gets an identity token', async (t) => {
  t.equal(await accessOf(''), null)
  t.equal(await accessOf('scope='), null)
  const posted = await ask({ method: 'POST', url: '/auth/v2/token', form: password })
  t.equal(claimsOf(posted.json().token).access, null)
})

t.test('the service can be requested by its aliases; the audience is always the same', async (t) => {
  for (const service of [SERVICE, 'token-service', 'registry.example', `https://${SERVICE}`]) {
    const response = await get(`service=${encodeURIComponent(service)}&scope=${scope}`)
    t.equal(response.statusCode, 200, service)
    t.equal(claimsOf(response.json().token)['aud'], SERVICE)
  }
})

t.test('the token endpoint ignores unknown parameters', async (t) => {
  t.strictSame(await accessOf(`scope=${scope}&foo=bar&account=root&client_id=x&username=root`), access)
  const form = { ...password, scope, foo: 'bar', account: 'root' }
  const posted = await ask({ method: 'POST', url: '/auth/v2/token?username=root&scope=x', form })
  t.match(claimsOf(posted.json().token), { sub: 'alice', access })
})

t.test(
  'a user signs in with a username in upper or lower case; the access token has it in lower case',
  async (t) => {
    const response = await ask({ url: '/auth/v2/token', as: 'ALICE', password: passwordOf('alice') })
    t.equal(claimsOf(response.json().token).sub, 'alice')
  },
)

t.test('an access token can have a hundred scopes', async (t) => {
  const many = Array.from({ length: 100 }, (_, at) => `repository:team/a${at}:pull`)
  t.equal((await accessOf(`scope=${many.join('+')}`))?.length, 100)
})

t.test('scopes after the first hundred are ignored', async (t) => {
  const many = Array.from({ length: 120 }, (_, at) => `repository:team/a${at}:pull`)
  const granted = await accessOf(`scope=${many.join('+')}`)
  t.strictSame(
    granted?.map(({ name }) => name),
    many.slice(0, 100).map((scope) => scope.split(':')[1]),
  )
})

t.test(
  'access that does not fit into 12 KiB is not granted, and POST returns the granted scope',
  async (t) => {
    for (const [count, length] of [
      [100, 58],
      [100, 255],
      [3, 255],
    ] as const) {
      const names = Array.from({ length: count }, (_, at) => `team/${String(at).padStart(length - 5, 'x')}`)
      const asked = names.map((name) => `repository:${name}:pull,push,delete`)
      const form = { ...password, scope: asked.join(' ') }
      const { token, scope: told } = (await ask({ method: 'POST', url: '/auth/v2/token', form })).json()
      const granted = claimsOf(token).access ?? []
      t.ok(token.length <= 12 * 1024, `${count} names of ${length}: ${token.length} characters`)
      t.strictSame(
        granted.map(({ name }) => name),
        names.slice(0, granted.length),
        'the first scopes are granted',
      )
      t.equal(told, asked.slice(0, granted.length).join(' '))
      const entry = Buffer.byteLength(JSON.stringify(granted[0])) * (4 / 3)
      if (granted.length < count) t.ok(token.length + entry + 10 > 12 * 1024, 'not one more entry fits')
      else t.ok(token.length < 12 * 1024)
    }
  },
)

t.test('an access token with the longest username still has room for a scope', async (t) => {
  const username = 'u'.repeat(255)
  await users.create({ ...planUser(username, { namespaces: ['team'] }), password: 'a-good-password' })
  const name = `team/${'n'.repeat(250)}`
  const url = `/auth/v2/token?scope=repository:${name}:pull`
  const { token } = (await ask({ url, as: username, password: 'a-good-password' })).json()
  t.match(claimsOf(token), { sub: username, access: [{ name }] })
})

t.test('unknown scopes are not granted, and the request is not refused for them', async (t) => {
  const asked = [
    'repository:team/x:',
    'repository:team/y:metadata_read',
    'repository:team/z:scanner-pull,pull',
    'sprocket:team/app:pull',
    'oops',
    scope,
  ]
  t.strictSame(await accessOf(`scope=${asked.join('+')}`), [
    { type: 'repository', name: 'team/z', actions: ['pull'] },
    ...access,
  ])
  t.strictSame(await accessOf('scope=oops'), [], 'an unknown scope does not make an identity token')
  t.strictSame(await accessOf(`service=&scope=${scope}`), access, 'an empty service counts as absent')
})
