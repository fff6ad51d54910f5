import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { planUser } from '../fixtures/accounts.ts'
import { startAuthService } from '../fixtures/auth-service.ts'
import { PULL_TEAM, tokensApi } from '../fixtures/registry-tokens.ts'

/*
 * The JSON of seed 004, and of the provider's public SDKs beyond it.
 */
const { ask, clock, users } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const root = await users.find('root')
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
const UNKNOWN = '00000000-0000-4000-8000-000000000000'
const errorOf = (response: { json(): { messages: { message: string }[] } }) =>
  response.json().messages[0]?.message

t.test('a registry token is shown with all fields in the order of seed 004', async (t) => {
  const scopes = [{ name: '*', actions: ['delete', 'pull', 'push'], type: 'repository' }]
  const response = await api.post({ name: 'Test-1', expiryDate: null, scopes })
  t.equal(response.statusCode, 200)
  t.match(response.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' })
  const body = response.json()
  t.match(body.metadata.createdDate, TIME)
  t.strictSame(
    JSON.stringify({ ...body, id: '', metadata: { ...body.metadata, createdDate: '' } }),
    JSON.stringify({
      id: '',
      type: 'token',
      href: '',
      metadata: { createdBy: 'root', createdByUserId: root?.id, createdDate: '', state: 'enabled' },
      properties: {
        name: 'Test-1',
        scopes: [{ actions: ['pull', 'push', 'delete'], name: '*', type: 'repository' }],
        expiryDate: null,
        status: 'enabled',
        credentials: { username: 'Test-1', password: body.properties.credentials.password },
      },
    }),
  )
  t.match(body.properties.credentials.password, /^rmt_[0-9A-Za-z]{36}$/)
  t.equal(response.headers.location, `${api.base}/${body.id}`)

  const got = await ask({ url: String(response.headers.location), as: 'root' })
  t.equal(got.statusCode, 200)
  const shown = { ...body, href: `${api.base}/${body.id}` }
  shown.properties = { ...body.properties, credentials: { username: 'Test-1', password: '' } }
  t.strictSame(got.json(), shown, 'a later GET shows the same without the password')
  t.strictSame((await api.list()).json().items, [shown])
})

t.test('a name that a user or a registry token has is refused with 409', async (t) => {
  await users.create(planUser('jane'))
  for (const name of ['Test-1', 'test-1', 'TEST-1', 'jane', 'Jane', 'root']) {
    const response = await api.post({ name })
    t.equal(response.statusCode, 409, name)
    const message = 'already exists: name is not available'
    t.equal(response.body, JSON.stringify({ httpStatus: 409, messages: [{ errorCode: '0', message }] }))
  }
  const user = await ask({
    method: 'POST',
    url: '/user?username=test-1&password=a-good-password',
    as: 'root',
  })
  t.equal(user.statusCode, 409, 'a user cannot take the name of a registry token')
})

t.test('an id is accepted with a leading colon, and in capitals', async (t) => {
  const { id } = await api.make({ name: 'colon' })
  const url = api.base.replace(api.registry, `:${api.registry}`)
  t.equal((await ask({ url, as: 'root' })).statusCode, 200)
  t.equal((await ask({ url: `${url}/:${id}`, as: 'root' })).statusCode, 200)
  t.equal(
    (await ask({ url: `${api.base.toUpperCase().toLowerCase()}/`, as: 'root' })).statusCode,
    200,
    'with a trailing slash',
  )
  const capitals = api.base.replace(api.registry, api.registry.toUpperCase())
  t.equal((await ask({ url: `${capitals}/${id.toUpperCase()}`, as: 'root' })).statusCode, 200, 'in capitals')
})

t.test('an unknown registry, registry token or path is 404 in the format of the API', async (t) => {
  const { id } = await api.make({ name: 'is-there' })
  const paths = [
    `/registries/${UNKNOWN}/tokens/${id}`,
    `/registries/nonsense/tokens/${id}`,
    `/registries/${api.registry}/tokens/${UNKNOWN}`,
    `/registries/${api.registry}/tokens/nonsense`,
    `/registries/${api.registry}/tokens/%00`,
    `/registries/${api.registry}/tokens/::${id}`,
  ]
  for (const path of paths) {
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE'] as const) {
      const json = method === 'PATCH' ? {} : undefined
      const response = await ask({ method, url: `/containerregistries${path}`, as: 'root', json })
      t.equal(response.statusCode, 404, `${method} ${path}`)
      t.match(response.json(), { httpStatus: 404, messages: [{ errorCode: '0', message: /not found/ }] })
    }
  }
  t.equal((await ask({ url: '/containerregistries/nothing', as: 'root' })).json().httpStatus, 404)
  t.equal(
    (await ask({ method: 'POST', url: '/containerregistries/registries', as: 'root', json: {} })).json()
      .httpStatus,
    405,
  )
  t.equal((await api.get(id)).statusCode, 200)
})

t.test('PATCH changes only the given fields', async (t) => {
  const { id } = await api.make({ name: 'patched' })
  const expiryDate = '2036-12-24T18:00:00Z'
  const changed = await api.patch(id, { expiryDate: '2036-12-24T19:00:00.5+01:00', status: 'disabled' })
  t.equal(changed.statusCode, 200)
  t.match(changed.json(), {
    metadata: {
      state: 'disabled',
      lastModifiedBy: 'root',
      lastModifiedByUserId: root?.id,
      lastModifiedDate: TIME,
    },
    properties: { expiryDate, status: 'disabled', scopes: PULL_TEAM, credentials: { password: '' } },
  })
  t.match((await api.patch(id, {})).json(), { properties: { expiryDate, status: 'disabled' } })
  t.match((await api.patch(id, { status: 'enabled' })).json(), {
    metadata: { state: 'enabled' },
    properties: { expiryDate },
  })
  const scopes = [{ type: 'repository', name: 'other/*', actions: ['push'] }]
  t.match((await api.patch(id, { scopes })).json(), { properties: { scopes, expiryDate } })
  t.match((await api.patch(id, { scopes: null, expiryDate: null })).json(), {
    properties: { scopes, expiryDate: null },
  })
  t.strictSame((await api.get(id)).json().properties.scopes[0], {
    actions: ['push'],
    name: 'other/*',
    type: 'repository',
  })
})

t.test('an expired registry token has the state expired', async (t) => {
  const { id } = await api.make({ name: 'expired', expiryDate: new Date(Date.now() + 60_000).toISOString() })
  t.match((await api.get(id)).json(), { metadata: { state: 'enabled' } })
  clock.ahead = 60_000
  t.match((await api.get(id)).json(), { metadata: { state: 'expired' }, properties: { status: 'enabled' } })
  clock.ahead = 0
  await api.delete(id)
})

t.test('PUT makes a new password and replaces the given properties', async (t) => {
  const { id, password } = await api.make({ name: 'put', expiryDate: '2036-12-24T18:00:00Z' })
  const kept = await api.put(id)
  t.equal(kept.statusCode, 200)
  t.match(kept.headers, { 'cache-control': 'no-store' })
  t.match(kept.json(), {
    properties: {
      name: 'put',
      scopes: PULL_TEAM,
      expiryDate: '2036-12-24T18:00:00Z',
      credentials: { password: /^rmt_/ },
    },
  })
  t.not(kept.json().properties.credentials.password, password)
  const scopes = [{ type: 'repository', name: '*', actions: ['pull'] }]
  const replaced = await api.put(id, '', { properties: { name: 'put', scopes, status: 'disabled' } })
  t.match(
    replaced.json(),
    { properties: { scopes, expiryDate: null, status: 'disabled' } },
    'properties are replaced as a whole',
  )
  t.not(replaced.json().properties.credentials.password, kept.json().properties.credentials.password)
  const renamed = await api.put(id, '', { properties: { name: 'putt', scopes } })
  t.equal(renamed.statusCode, 400)
  t.match(errorOf(renamed), /^name cannot be changed/)
  const emptied = await api.put(id, '', { properties: { name: 'put' } })
  t.match(
    emptied.json(),
    { properties: { scopes: [], status: 'enabled' } },
    'scopes that are left out become empty',
  )
  for (const overlap of ['x', '-1', '1.5', '', '2592001', '1e3']) {
    const refused = await api.put(id, `?overlap=${overlap}`)
    t.equal(refused.statusCode, 400, `overlap=${overlap}`)
    t.match(errorOf(refused), /^overlap /)
  }
})

t.test('DELETE removes a registry token and frees its name', async (t) => {
  const { id } = await api.make({ name: 'deleted' })
  const response = await ask({
    method: 'DELETE',
    url: `${api.base}/${id}`,
    as: 'root',
    headers: { 'content-type': 'application/json' },
  })
  t.strictSame(
    [response.statusCode, response.body],
    [204, ''],
    'a JSON content type without a body is accepted: the SDKs send it',
  )
  t.equal((await api.delete(id)).statusCode, 404)
  t.equal((await api.post({ name: 'deleted' })).statusCode, 200, 'the name is available again')
})

t.test('a registry token with a scope of one component has a note that explains the scope', async (t) => {
  const scopes = [{ type: 'repository', name: 'team1', actions: ['pull'] }]
  const made = await api.post({ name: 'explained', scopes })
  t.equal(made.statusCode, 200)
  const { id, metadata } = made.json()
  t.match(metadata.notes, [/^scope team1 covers only the repository team1, .* team1\/\* covers all/])
  t.strictSame((await api.get(id)).json().metadata.notes, metadata.notes)
  const changed = await api.patch(id, { scopes: PULL_TEAM })
  t.notOk('notes' in changed.json().metadata)
})
