import Fastify from 'fastify'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { SigningKeys } from '../src/access-tokens/signing-keys.ts'
import { jwksRoutes } from '../src/access-tokens/jwks-routes.ts'
import { User } from '../src/accounts/users-schemas.ts'
import type { Question } from './fixtures/auth-service.ts'
import { SERVICE, passwordOf, startAuthService } from './fixtures/auth-service.ts'

const USER = ['id', 'username', 'ad', 'admin', 'role', 'enabled', 'namespaces', 'created_at']
const { ask, answers, keys } = await startAuthService(t, await pgliteForTest(t))

t.test('every route shows a user with exactly the same fields', async (t) => {
  const password = 'a-good-password'
  const expected = {
    username: 'bob',
    ad: false,
    admin: false,
    role: 'user',
    enabled: true,
    namespaces: ['a', 'b'],
  }
  const questions: readonly Question[] = [
    { method: 'POST', url: '/user', json: { username: 'bob', password, namespaces: ['a', 'b'] } },
    { url: '/user?username=bob' },
    { method: 'PATCH', url: '/user?username=bob', json: { password, enabled: true } },
    { method: 'POST', url: '/user/namespaces', json: { username: 'bob', namespaces: 'a,b' } },
    { url: '/users?offset=1&limit=1' },
  ]
  for (const question of questions) {
    const body = (await ask({ ...question, as: 'root' })).json()
    const user = Array.isArray(body) ? body[0] : body
    t.same(Object.keys(user), USER, `${question.method ?? 'GET'} ${question.url}`)
    t.match(user, expected)
    t.match(user.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  }
  t.notMatch(answers.join('\n'), /argon2|password"|passwordHash|hash/i)
})

t.test('the response schema drops further fields of an account', async (t) => {
  const app = Fastify()
  const createdAt = new Date('2026-11-21T00:00:00Z')
  const user = {
    id: 'i',
    username: 'bob',
    ad: false,
    admin: false,
    role: 'user',
    enabled: true,
    namespaces: [],
    created_at: createdAt,
  }
  const secrets = { password: 'p', passwordHash: '$argon2id$', password_hash: '$argon2id$', generation: 3 }
  app.get('/', { schema: { response: { 200: User } } }, async () => ({ ...secrets, ...user }))
  t.strictSame((await app.inject('/')).json(), { ...user, created_at: '2026-11-21T00:00:00.000Z' })
})

t.test('a token response has exactly the fields of its request', async (t) => {
  const always = ['token', 'access_token', 'expires_in', 'issued_at']
  const form = { grant_type: 'password', username: 'alice', password: passwordOf('alice'), service: SERVICE }
  const keysOf = async (question: Question) => Object.keys((await ask(question)).json())
  t.same(await keysOf({ url: '/auth/v2/token', as: 'alice' }), always)
  t.same(await keysOf({ url: '/auth/v2/token?offline_token=true', as: 'alice' }), [
    ...always,
    'refresh_token',
  ])
  t.same(await keysOf({ method: 'POST', url: '/auth/v2/token', form: { ...form, access_type: 'offline' } }), [
    ...always,
    'refresh_token',
    'scope',
  ])
})

t.test('the JWKS has every public field of a key and no private one', async (t) => {
  t.strictSame((await ask({ url: '/.well-known/jwks.json' })).json(), { keys: keys.publicKeys() })
  const app = Fastify()
  const leaky = keys.publicKeys().map((key) => ({ ...key, d: 'private', privatePem: 'PRIVATE KEY' }))
  await app.register(jwksRoutes, { keys: { ...keys, publicKeys: () => leaky } as SigningKeys })
  t.strictSame((await app.inject('/.well-known/jwks.json')).json(), { keys: keys.publicKeys() })
})
