import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { passwordOf, startAuthService } from './fixtures/auth-service.ts'

const { ask } = await startAuthService(t, await pgliteForTest(t))

interface Operation {
  readonly security: readonly object[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: { readonly deprecated?: boolean }
    readonly description?: string
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, object>> }
  readonly responses: Readonly<Record<string, { readonly content?: object }>>
}
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>

const { paths, ...document } = (await ask({ url: '/docs/auth/json' })).json() as { paths: Paths }
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(
    ([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const,
  ),
)

t.test('the OpenAPI document is valid and has every public operation', async (t) => {
  const { valid, errors } = await new Validator().validate({ ...document, paths: structuredClone(paths) })
  t.strictSame([valid, errors], [true, undefined])
  t.strictSame(operations.map(([name]) => name).toSorted(), [
    'DELETE /containerregistries/registries/{registryId}/tokens/{tokenId}',
    'DELETE /groups/{group}',
    'DELETE /groups/{group}/members/{username}',
    'DELETE /namespaces/{namespace}/grants/{grantId}',
    'DELETE /namespaces/{namespace}/trust-rules/{id}',
    'DELETE /personal-tokens/{id}',
    'DELETE /user',
    'DELETE /user/sessions',
    'GET /.well-known/jwks.json',
    'GET /access/explain',
    'GET /access/who',
    'GET /audit',
    'GET /auth/v2/certs',
    'GET /auth/v2/token',
    'GET /containerregistries/registries',
    'GET /containerregistries/registries/{registryId}',
    'GET /containerregistries/registries/{registryId}/artifacts',
    'GET /containerregistries/registries/{registryId}/repositories',
    'GET /containerregistries/registries/{registryId}/repositories/{name}',
    'GET /containerregistries/registries/{registryId}/repositories/{name}/artifacts',
    'GET /containerregistries/registries/{registryId}/repositories/{name}/artifacts/{digest}',
    'GET /containerregistries/registries/{registryId}/tokens',
    'GET /containerregistries/registries/{registryId}/tokens/{tokenId}',
    'GET /groups',
    'GET /groups/{group}',
    'GET /groups/{group}/members',
    'GET /image-manager/api/v1/auth/token',
    'GET /namespaces',
    'GET /namespaces/{namespace}/grants',
    'GET /namespaces/{namespace}/trust-rules',
    'GET /namespaces/{namespace}/trust-rules/{id}',
    'GET /personal-tokens',
    'GET /personal-tokens/{id}',
    'GET /sign-in/session',
    'GET /user',
    'GET /users',
    'HEAD /containerregistries/names/{name}',
    'PATCH /containerregistries/registries/{registryId}/tokens/{tokenId}',
    'PATCH /user',
    'POST /access/explain',
    'POST /auth/v2/token',
    'POST /containerregistries/registries/{registryId}/tokens',
    'POST /device/authorization',
    'POST /groups',
    'POST /image-manager/api/v1/auth/token',
    'POST /namespaces/{namespace}/grants',
    'POST /namespaces/{namespace}/trust-rules',
    'POST /oidc/{provider}/backchannel-logout',
    'POST /personal-tokens',
    'POST /user',
    'POST /user/namespaces',
    'POST /user/password',
    'PUT /containerregistries/registries/{registryId}/tokens/{tokenId}',
    'PUT /groups/{group}',
    'PUT /groups/{group}/members',
    'PUT /groups/{group}/members/{username}',
    'PUT /namespaces/{namespace}/grants',
    'PUT /namespaces/{namespace}/trust-rules',
    'PUT /namespaces/{namespace}/trust-rules/{id}',
  ])
})

/**
 * The credentials that operations accept: requests for access tokens no session, and requests about a session nothing
 * else.
 */
const CREDENTIALS = ['basic bearer', 'basic bearer session', 'session']

t.test('an operation that needs credentials documents them, 401 and 503', async (t) => {
  const open = new Set(['GET /.well-known/jwks.json', 'GET /auth/v2/certs'])
  for (const [name, { security, responses }] of operations) {
    const isOpen = open.has(name) || /^POST .*\/(token|backchannel-logout|device\/authorization)$/.test(name)
    const schemes = security.flatMap((one) => Object.keys(one)).join(' ')
    t.ok((isOpen ? [''] : CREDENTIALS).includes(schemes), `${name}: ${schemes}`)
    if (!open.has(name) && !/logout|device/.test(name)) t.ok('401' in responses && '503' in responses, name)
  }
})

t.test('the API document advises against a password in the query', async (t) => {
  const withPassword = operations.flatMap(([name, { parameters = [] }]) =>
    parameters
      .filter((one) => one.in === 'query' && /password/.test(one.name))
      .map((one) => [name, one] as const),
  )
  t.strictSame(
    withPassword.map(([name, parameter]) => `${name} ${parameter.name}`),
    [
      'POST /user password',
      'POST /user password_hash',
      'PATCH /user password',
      'POST /user/password password',
      'POST /user/password current_password',
    ],
  )
  for (const [name, { required, schema, description }] of withPassword) {
    t.match({ required: required ?? false, schema }, { required: false, schema: { deprecated: true } }, name)
    t.match(description, /prefer a form or JSON/i, name)
  }
})

t.test('a request of the users API is documented as a form and as JSON', async (t) => {
  for (const name of ['POST /user', 'PATCH /user', 'POST /user/password', 'POST /user/namespaces']) {
    const requestBody = operations.find(([one]) => one === name)?.[1].requestBody
    t.strictSame(Object.keys(requestBody?.content ?? {}), [
      'application/json',
      'application/x-www-form-urlencoded',
    ])
  }
})

/** Every schema below a part of the document. */
function* schemasIn(part: unknown): Generator<Record<string, unknown>> {
  if (typeof part !== 'object' || part === null) return
  yield part as Record<string, unknown>
  for (const inner of Object.values(part)) yield* schemasIn(inner)
}

t.test('every pattern of a request has a rule in plain words', async (t) => {
  const patterns = operations.flatMap(([name, { parameters, requestBody }]) =>
    [...schemasIn({ parameters, requestBody })]
      .filter(({ pattern }) => typeof pattern === 'string')
      .map((schema) => [name, schema] as const),
  )
  t.ok(patterns.length > 10, `${patterns.length} patterns`)
  for (const [name, schema] of patterns) t.match(schema['x-rule'], /^must /, `${name}: ${schema['pattern']}`)
})

t.test('the OpenAPI document has no secret', async (t) => {
  const text = JSON.stringify({ document, paths })
  for (const secret of [/rm[prt]_\w/, /argon2/, /BEGIN \w+ KEY/, passwordOf('root')]) t.notMatch(text, secret)
  // Placeholders in examples.
  for (const [, password] of text.matchAll(/"(?:current_)?password":"([^"]*)"/g)) {
    t.equal(password, 'replace-this-password')
  }
})
