import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { SERVICE_CREDENTIAL, claimsOf, startAuthService } from '../fixtures/auth-service.ts'
import { startFakeImageManager } from '../fixtures/fake-image-manager.ts'

const { url: imageManagerUrl } = await startFakeImageManager(t)
const { ask, askInternal } = await startAuthService(t, await pgliteForTest(t), {
  imageManagerUrl,
  anonymousPull: true,
})
const urlOf = (...scopes: string[]) =>
  `/auth/v2/token?${new URLSearchParams([...scopes.map((scope) => ['scope', scope]), ['offline_token', 'true']])}`
const pull = [{ type: 'repository', name: 'shared/app', actions: ['pull'] }]

t.test('an anonymous principal gets an access token only for pulls of global repositories', async (t) => {
  const asked = [
    'repository:shared/app:pull,push,delete',
    'repository:team/app:pull',
    'repository:app:*',
    'registry:catalog:*',
  ]
  for (const path of [urlOf(...asked), urlOf(...asked).replace('/auth/v2', '/image-manager/api/v1/auth')]) {
    const response = await ask({ url: path })
    t.equal(response.statusCode, 200)
    const { token, access_token, expires_in, issued_at, ...rest } = response.json()
    t.strictSame(rest, {}, 'there is no refresh token')
    t.equal(token, access_token)
    t.ok(expires_in > 294 && expires_in <= 300)
    t.ok(issued_at)
    const claims = claimsOf(token)
    t.match(claims, { sub: '', uid: 'anonymous', gen: 0 })
    t.strictSame(claims.access, pull)
  }
})

t.test('an anonymous access token has no access to other repositories', async (t) => {
  for (const scope of ['repository:team/app:pull', 'repository:shared/app:push', 'repository:shared:pull'])
    t.strictSame(claimsOf((await ask({ url: urlOf(scope) })).json().token).access, [], scope)
})

t.test('an anonymous principal gets no identity token: without a scope there is no access', async (t) => {
  const { token } = (await ask({ url: '/auth/v2/token' })).json()
  t.strictSame(claimsOf(token).access, [])
  for (const question of [
    { url: '/user' },
    { url: '/users' },
    { url: urlOf('repository:shared/app:pull') },
    { method: 'DELETE', url: '/user/sessions' } as const,
  ]) {
    t.equal((await ask({ ...question, bearer: token })).statusCode, 401, question.url)
  }
})

t.test('wrong credentials are refused even where anonymous pulls are allowed', async (t) => {
  const url = urlOf('repository:shared/app:pull')
  t.equal((await ask({ url, as: 'alice', password: 'another-password' })).statusCode, 401)
  t.equal((await ask({ url, bearer: 'x' })).statusCode, 401)
  t.equal((await ask({ url, headers: { authorization: 'Basic ' } })).statusCode, 401)
  t.equal((await ask({ url, headers: { authorization: 'Digest x' } })).statusCode, 401)
  const post = (form: Record<string, string>) => ask({ method: 'POST', url: '/auth/v2/token', form })
  const wrong = { grant_type: 'password', username: 'alice', password: 'another-password' }
  t.equal((await post(wrong)).statusCode, 401)
  t.equal(
    (await post({ ...wrong, username: '', password: '' })).statusCode,
    400,
    'empty parameters count as absent',
  )
  t.equal((await ask({ method: 'POST', url: '/auth/v2/token', form: {} })).statusCode, 400)
})

t.test('an account gets its own access where anonymous pulls are allowed', async (t) => {
  const { token } = (await ask({ url: urlOf('repository:team/app:pull,push'), as: 'alice' })).json()
  t.strictSame(claimsOf(token).access, [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }])
})

t.test('an anonymous principal has no account', async (t) => {
  const internal = { url: '/internal/accounts/anonymous', bearer: SERVICE_CREDENTIAL }
  t.equal((await askInternal(internal)).statusCode, 400)
  for (const url of ['/user', '/users']) t.equal((await ask({ url })).statusCode, 401)
})

t.test('by default a token request without credentials is refused', async (t) => {
  const { ask } = await startAuthService(t, await pgliteForTest(t), { imageManagerUrl })
  for (const url of [urlOf('repository:shared/app:pull'), '/auth/v2/token']) {
    const response = await ask({ url })
    t.equal(response.statusCode, 401)
    t.match(response.headers['www-authenticate'], /^Basic realm=/)
  }
})
