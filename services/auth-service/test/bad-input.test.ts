import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { Question } from './fixtures/auth-service.ts'
import { SERVICE_CREDENTIAL, passwordOf, startAuthService } from './fixtures/auth-service.ts'
import { tokensApi } from './fixtures/registry-tokens.ts'

/*
 * One request of each kind of invalid input for each route: the response names the field, in plain words.
 */

const { ask, askInternal } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const as = 'root'
const USERNAME = 'must be 1 to 255 letters, digits or . _ @ -, and start with a letter or digit'
const FIELDS = 'username, password, ad, provider, admin, role, enabled, namespaces'
const NAMESPACE = 'must be repository path components, such as team or team/app'

type Case = readonly [question: Question, detail: string]

const USERS: readonly Case[] = [
  [{ url: '/user?username=a+b', as }, `username ${USERNAME}`],
  [{ url: '/user?name=a', as }, 'name is not a known field; known fields are username'],
  [{ method: 'POST', url: '/user', json: {}, as }, 'username is required'],
  [{ method: 'POST', url: '/user', json: { username: 1 }, as }, `username ${USERNAME}`],
  [{ method: 'POST', url: '/user', json: [], as }, 'the body must be an object'],
  [
    { method: 'POST', url: '/user?admin=yes', form: { username: 'a' }, as },
    'admin must be true or false (or 1 or 0)',
  ],
  [
    { method: 'POST', url: '/user', form: { username: 'a', pasword: 'x' }, as },
    `pasword is not a known field; known fields are ${FIELDS}, password_hash`,
  ],
  [
    { method: 'PATCH', url: '/user', json: { username: 'alice', role: 'root' }, as },
    'role must be one of cluster-administrator, administrator, user',
  ],
  [
    { method: 'PATCH', url: '/user', json: { username: 'alice', enabled: null }, as },
    'enabled must be true or false (or 1 or 0)',
  ],
  [
    { method: 'PATCH', url: '/user', json: { username: 'alice', namespaces: ['team', 'A'] }, as },
    `namespaces.1 ${NAMESPACE}`,
  ],
  [
    { method: 'PATCH', url: '/user', json: { username: 'alice', password: 'short' }, as },
    'password must be 8 to 1024 bytes long',
  ],
  [
    { method: 'PATCH', url: '/user?username=alice', json: { username: 'alice' }, as },
    'username is given twice',
  ],
  [{ method: 'DELETE', url: '/user', as }, 'username is required'],
  [{ method: 'DELETE', url: '/user', json: { username: 'a/b' }, as }, `username ${USERNAME}`],
  [{ url: '/users?offset=-1', as }, 'offset must be a whole number of 0 or more'],
  [{ url: '/users?limit=0', as }, 'limit must be a whole number of 1 or more'],
  [{ url: '/users?limit=ten', as }, 'limit must be a whole number of 1 or more'],
  [
    { url: `/users?search=${'a'.repeat(256)}`, as },
    'search must be at most 255 characters long and must not contain NUL',
  ],
  [{ url: '/users?namespace=A', as }, `namespace ${NAMESPACE}`],
  [
    { url: '/users?page=2', as },
    'page is not a known field; known fields are offset, limit, search, namespace',
  ],
  [{ method: 'POST', url: '/user/password', as }, 'password is required'],
  [
    { method: 'POST', url: '/user/password', json: { password: 12_345_678 }, as },
    'password must be a string',
  ],
  [
    { method: 'POST', url: '/user/password', json: { password: 'a-good-password', current_password: 1 }, as },
    'current_password must be a string',
  ],
  [{ method: 'POST', url: '/user/namespaces', form: { username: 'alice' }, as }, 'namespaces is required'],
  [
    { method: 'DELETE', url: '/user/sessions?all=true', as },
    'all is not a known field; known fields are username',
  ],
]

t.test('the users API names the invalid field', async (t) => {
  for (const [question, detail] of USERS) {
    const response = await ask(question)
    const field = detail.startsWith('the body') ? 'body' : detail.split(' ')[0]
    t.equal(response.statusCode, 400, `${question.method ?? 'GET'} ${question.url}`)
    t.match(response.headers['content-type'], /^application\/problem\+json/)
    t.strictSame(response.json(), { type: 'about:blank', title: 'Bad Request', status: 400, detail, field })
  }
})

const TOKEN = { method: 'POST', url: '/auth/v2/token' } as const
const GRANTS: readonly Case[] = [
  [{ ...TOKEN, form: {} }, 'grant_type is required'],
  [
    { ...TOKEN, form: { grant_type: 'code' } },
    'grant_type must be one of password, refresh_token, urn:ietf:params:oauth:grant-type:token-exchange, urn:ietf:params:oauth:grant-type:device_code',
  ],
  [{ ...TOKEN, form: { grant_type: 'password', password: 'x' } }, 'username is required'],
  [{ ...TOKEN, form: { grant_type: 'password', username: 'x' } }, 'password is required'],
  [
    { ...TOKEN, form: { grant_type: 'refresh_token', username: 'x', password: 'x' } },
    'refresh_token is required',
  ],
  ...[
    ['service=token-service&service=token-service', 'service is given twice'],
    ['account=a&account=a', 'account is given twice'],
    ['client_id=a%00', 'client_id must not contain NUL'],
    ['account=a%00', 'account must not contain NUL'],
  ].flatMap(([text = '', message = '']): Case[] => [
    [{ url: `/auth/v2/token?${text}`, as }, message],
    [{ ...TOKEN, form: passwordGrant(text) }, message],
  ]),
]

/** A form that is valid without the further parameters. */
function passwordGrant(further: string): URLSearchParams {
  const password = passwordOf('alice')
  const grant = new URLSearchParams({ grant_type: 'password', username: 'alice', password })
  return new URLSearchParams(`${grant}&${further}`)
}

t.test('the token endpoint names the invalid parameter, in the format of the registry API', async (t) => {
  for (const [question, message] of GRANTS) {
    const response = await ask(question)
    t.equal(response.statusCode, 400, message)
    const [field] = message.split(' ')
    t.strictSame(response.json(), { errors: [{ code: 'UNSUPPORTED', message, detail: { field } }] })
  }
})

t.test(
  'a parameter of the token endpoint without a value counts as absent, and scope can be repeated',
  async (t) => {
    const text =
      'service=&service=token-service&account=&account=&scope=repository:a:pull&scope=repository:b:pull'
    for (const question of [
      { url: `/auth/v2/token?${text}`, as },
      { ...TOKEN, form: passwordGrant(text) },
    ] as const) {
      t.equal((await ask(question)).statusCode, 200, question.url)
    }
  },
)

const list = api.base
const token = `${api.base}/00000000-0000-4000-8000-000000000000`
const properties = { name: 'bot-1', scopes: [] }
const scope = { type: 'repository', name: 'a', actions: ['pull'] }
const PROVIDER: readonly Case[] = [
  [{ url: '/containerregistries/registries?limit=0', as }, 'limit must be a whole number of 1 or more'],
  [{ url: `${list}?offset=x`, as }, 'offset must be a whole number of 0 or more'],
  [{ url: `${list}?limit=1&limit=2`, as }, 'limit is given twice'],
  [
    { url: `${list}?filter.expiresWithin=0`, as },
    'filter.expiresWithin must be a whole number from 1 to 315360000',
  ],
  [
    { url: `${list}?filter.state=x`, as },
    'filter.state is not supported; the filters of this path are: filter.expiresWithin',
  ],
  [{ url: list.replace('/tokens', '/repositories?filter.name=%00'), as }, 'filter.name must not contain NUL'],
  [{ url: list.replace('/tokens', '/artifacts?limit=-1'), as }, 'limit must be a whole number of 1 or more'],
  [{ method: 'POST', url: list, json: {}, as }, 'properties is required'],
  [{ method: 'POST', url: list, as }, 'the body must be an object'],
  [
    { method: 'POST', url: list, json: { properties: { ...properties, more: 1 } }, as },
    'more is not a known field in properties; known fields are name, expiryDate, scopes, status, conditions',
  ],
  [
    {
      method: 'POST',
      url: list,
      json: { properties: { ...properties, scopes: [{ ...scope, name: 1 }] } },
      as,
    },
    'properties.scopes.0.name must be a repository name, prefix/* for all repositories below a prefix, or * for all',
  ],
  [{ method: 'PUT', url: token, json: [], as }, 'the body must be an object or null'],
  [
    { method: 'PUT', url: `${token}?overlap=2592001`, as },
    'overlap must be a whole number from 0 to 2592000',
  ],
  [{ method: 'PATCH', url: token, json: { status: 'off' }, as }, 'status must be one of enabled, disabled'],
  [{ method: 'PATCH', url: token, json: { expiryDate: 1 }, as }, 'expiryDate must be a string or null'],
]

t.test("the provider's API names the invalid field, in its own format", async (t) => {
  for (const [question, message] of PROVIDER) {
    const response = await ask(question)
    t.equal(response.statusCode, 400, message)
    t.strictSame(response.json(), { httpStatus: 400, messages: [{ errorCode: '0', message }] })
  }
})

const INTERNAL: readonly Case[] = [
  [{ url: '/internal/accounts/alice' }, 'uid must be a UUID'],
  [{ method: 'POST', url: '/internal/service-tokens', json: { access: [] } }, 'service is required'],
  [
    { method: 'POST', url: '/internal/service-tokens', json: { service: 'A B', access: [] } },
    'service must be lower-case letters and -',
  ],
  [
    {
      method: 'POST',
      url: '/internal/token-exchanges',
      json: { username: 'a', password: 'b', address: 1, access: null },
    },
    'address must be a string',
  ],
]

t.test('the internal API names the invalid field', async (t) => {
  for (const [question, detail] of INTERNAL) {
    const headers = { authorization: `Bearer ${SERVICE_CREDENTIAL}` }
    const response = await askInternal({ ...question, headers })
    t.match(response.json(), { status: 400, field: detail.split(' ')[0] })
    t.equal(response.json().detail, detail)
  }
})

t.test('a user who is no administrator is refused before the input is looked at', async (t) => {
  for (const question of [
    { method: 'POST', url: '/user', json: { zz: 1 } },
    { method: 'PATCH', url: '/user', payload: '{', headers: { 'content-type': 'application/json' } },
    { method: 'DELETE', url: '/user?zz=1' },
    { url: '/users?zz=1' },
    { method: 'POST', url: '/user/namespaces' },
    { method: 'POST', url: list, json: {} },
  ] as const) {
    const response = await ask({ ...question, as: 'alice', password: passwordOf('alice') })
    t.equal(response.statusCode, 403, question.url)
  }
})
