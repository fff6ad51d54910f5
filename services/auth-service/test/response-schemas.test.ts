import Fastify from 'fastify'
import t from 'tap'
import type { TSchema } from 'typebox'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { SigningKeys } from '../src/access-tokens/signing-keys.ts'
import { jwksRoutes } from '../src/access-tokens/jwks-routes.ts'
import { User } from '../src/accounts/users-schemas.ts'
import {
  ArtifactBody,
  ArtifactsBody,
  RegistriesBody,
  RegistryBody,
  RepositoriesBody,
  RepositoryBody,
  artifactBody,
  registryBody,
  repositoryBody,
} from '../src/provider-api/contents-json.ts'
import {
  RegistryTokenBody,
  RegistryTokensBody,
  registryTokenBody,
} from '../src/registry-tokens/registry-token-json.ts'
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

const AT = new Date('2026-11-21T12:00:00Z')
const TIME = '2026-11-21T12:00:00Z'
const DIGEST = `sha256:${'a'.repeat(64)}`
const by = { id: 'an-id', username: 'root' }
const registryToken = {
  id: 'an-id',
  username: 'ci',
  enabled: true,
  // A name of one component makes a note.
  scopes: [{ type: 'repository', name: 'team', actions: ['pull'] }],
  expiresAt: AT,
  generation: 1,
  createdAt: AT,
  grants: [],
  createdBy: by,
  modified: { at: AT, by },
  lastUsed: { at: AT, address: '192.0.2.1' },
}
const artifact = { repository: 'team/app', digest: DIGEST, mediaType: 'a/b', tags: ['v1'], pushedAt: TIME }
const repository = { name: 'team/app', createdAt: TIME, pushedAt: TIME, artifacts: 3 }
const registry = { id: 'an-id', createdAt: AT, usage: { bytes: 5, updatedAt: TIME } }
const page = { id: 'x', type: 'collection', href: '/x', offset: 0, limit: 1 }
const links = { prev: '/x?offset=0', self: '/x?offset=1', next: '/x?offset=2' }
const [token, shown] = [
  registryTokenBody(registryToken, AT.getTime() - 1, { href: '/x', password: 'rmt_x' }),
  { registry: registryBody(registry, 'registry.test'), repository: repositoryBody('an-id', repository) },
]

/** Bodies with every field that they can have. */
const BODIES: readonly (readonly [name: string, schema: TSchema, body: object])[] = [
  ['a registry token', RegistryTokenBody, token],
  [
    'registry tokens',
    RegistryTokensBody,
    { ...page, items: [token], count: 1, total: 3, _links: { next: '/x', previous: '/x', self: '/x' } },
  ],
  ['a registry', RegistryBody, shown.registry],
  [
    'registries',
    RegistriesBody,
    {
      id: 'an-id',
      type: 'collection',
      href: '/x',
      items: [shown.registry],
      pagination: { limit: 1, token: '' },
      _links: { next: '', previous: '', self: '/x' },
    },
  ],
  ['a repository', RepositoryBody, shown.repository],
  ['repositories', RepositoriesBody, { ...page, items: [shown.repository], _links: links }],
  ['an artifact', ArtifactBody, artifactBody('an-id', artifact)],
  ['artifacts', ArtifactsBody, { ...page, items: [artifactBody('an-id', artifact)], _links: links }],
]

t.test("a response of the provider's API has every field of its body", async (t) => {
  t.strictSame(Object.keys(token.metadata), [
    'createdBy',
    'createdByUserId',
    'createdDate',
    'lastModifiedBy',
    'lastModifiedByUserId',
    'lastModifiedDate',
    'lastUsedDate',
    'lastUsedAddress',
    'notes',
    'state',
  ])
  const app = Fastify()
  for (const [at, [, schema, body]] of BODIES.entries()) {
    app.get(`/${at}`, { schema: { response: { 200: schema } } }, async () => body)
  }
  for (const [at, [name, , body]] of BODIES.entries()) {
    t.strictSame((await app.inject(`/${at}`)).json(), body, name)
  }
})
