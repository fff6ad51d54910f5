import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startAuthService } from '../fixtures/auth-service.ts'

const { ask, users } = await startAuthService(t, await pgliteForTest(t))

const root = { as: 'root' }
const password = 'a-good-password'
const FIELDS = ['id', 'username', 'ad', 'admin', 'role', 'enabled', 'namespaces', 'created_at']
const create = (fields: object) =>
  ask({ method: 'POST', url: '/user', json: { password, ...fields }, ...root })
const patch = (fields: object) => ask({ method: 'PATCH', url: '/user', json: fields, ...root })
const get = (username: string) => ask({ url: `/user?username=${encodeURIComponent(username)}`, ...root })
const signsIn = async (as: string, password: string) =>
  (await ask({ url: '/user', as, password })).statusCode === 200

t.test('a user has the documented fields and no others', async (t) => {
  const created = await create({ username: 'Bob@Example.com', namespaces: 'team,other/sub' })
  t.equal(created.statusCode, 201)
  t.match(created.headers['content-type'], /^application\/json/)
  const user = created.json()
  t.strictSame(Object.keys(user), FIELDS)
  t.match(user, {
    id: /^[0-9a-f-]{36}$/,
    username: 'bob@example.com',
    ad: false,
    admin: false,
    role: 'user',
    enabled: true,
    namespaces: ['other/sub', 'team'],
    created_at: /^\d{4}-\d\d-\d\dT.*Z$/,
  })
  const { location } = created.headers
  t.strictSame(
    (await ask({ url: String(location), ...root })).json(),
    user,
    'Location is the URL of the user',
  )
  t.strictSame(
    (await ask({ url: '/user', as: 'bob@example.com', password })).json(),
    user,
    'users see their own record',
  )
  t.strictSame(
    (await patch({ username: 'bob@example.com' })).json(),
    user,
    'a change without fields changes nothing',
  )
})

t.test("GET /user returns one's own record, and other records only to cluster administrators", async (t) => {
  t.match((await ask({ url: '/user', as: 'alice' })).json(), { username: 'alice', namespaces: ['team'] })
  t.match((await ask({ url: '/user?username=ALICE', as: 'alice' })).json(), { username: 'alice' })
  t.match((await ask({ url: '/user', as: 'olga' })).json(), { role: 'administrator', admin: false })
  t.match((await ask({ url: '/user', ...root })).json(), { role: 'cluster-administrator', admin: true })
  t.match((await get('alice')).json(), { username: 'alice' })
  t.match((await get('unknown')).json(), { status: 404, detail: 'there is no user unknown' })
  t.equal(
    (await ask({ url: '/user?username=unknown', as: 'alice' })).statusCode,
    403,
    'an existing and an unknown user get the same response',
  )
})

t.test('a username that differs from a taken one only by case gets 409', async (t) => {
  for (const username of ['alice', 'ALICE', 'root']) {
    const response = await create({ username, admin: true })
    t.equal(response.statusCode, 409, username)
    t.match(response.json(), { status: 409, field: 'username' })
  }
  t.match((await get('alice')).json(), { admin: false })
})

t.test('an unknown user gets 404', async (t) => {
  const username = 'unknown'
  const ask404 = [
    patch({ username, admin: true }),
    ask({ method: 'DELETE', url: '/user?username=unknown', ...root }),
    ask({ method: 'POST', url: '/user/password', json: { username, password }, ...root }),
    ask({ method: 'POST', url: '/user/namespaces', json: { username, namespaces: [] }, ...root }),
    ask({ method: 'DELETE', url: '/user/sessions?username=unknown', ...root }),
  ]
  for (const response of await Promise.all(ask404)) {
    t.match(response.json(), { status: 404, detail: 'there is no user unknown' })
  }
})

t.test('PATCH /user changes the given fields and leaves the others', async (t) => {
  await create({ username: 'carl', namespaces: 'a,b' })
  const changes: readonly (readonly [given: object, shown: object])[] = [
    [{ admin: true }, { admin: true, role: 'cluster-administrator', namespaces: ['a', 'b'] }],
    [{ admin: false }, { admin: false, role: 'user' }],
    [{ role: 'administrator' }, { admin: false, role: 'administrator' }],
    [{ admin: false }, { admin: false, role: 'administrator' }],
    [{ enabled: false }, { enabled: false, role: 'administrator' }],
    [{ namespaces: ['c'] }, { enabled: false, namespaces: ['c'] }],
    [{ enabled: true }, { enabled: true, namespaces: ['c'] }],
    [{ namespaces: '' }, { namespaces: [] }],
    [
      { role: 'user', admin: false },
      { role: 'user', namespaces: [] },
    ],
  ]
  for (const [given, shown] of changes) {
    const response = await patch({ username: 'carl', ...given })
    t.equal(response.statusCode, 200, JSON.stringify(given))
    t.match(response.json(), shown)
    t.strictSame((await get('carl')).json(), response.json())
  }
  t.ok(await signsIn('carl', password), 'the password is unchanged')
  await patch({ username: 'carl', password: 'another-password' })
  t.ok(await signsIn('carl', 'another-password'))
  t.notOk(await signsIn('carl', password))
})

t.test('a disabled user is refused like a deleted one and can be enabled again', async (t) => {
  await create({ username: 'dan' })
  t.ok(await signsIn('dan', password))
  await patch({ username: 'dan', enabled: false })
  const disabled = await ask({ url: '/user', as: 'dan', password })
  await ask({ method: 'DELETE', url: '/user?username=dan', ...root })
  const deleted = await ask({ url: '/user', as: 'dan', password })
  t.equal(disabled.statusCode, 401)
  t.strictSame([deleted.statusCode, deleted.body], [disabled.statusCode, disabled.body])
})

t.test('users and cluster administrators change passwords', async (t) => {
  const change = (fields: object, as: object) =>
    ask({ method: 'POST', url: '/user/password', json: fields, ...as })
  await create({ username: 'erin' })
  const own = await change({ password: 'pässwörd: new 😀' }, { as: 'erin', password })
  t.equal(own.statusCode, 204)
  t.equal(own.body, '')
  t.notOk(await signsIn('erin', password))
  t.ok(await signsIn('erin', 'pässwörd: new 😀'), 'a password may contain any printable characters')
  const erin = { as: 'erin', password: 'pässwörd: new 😀' }
  t.equal(
    (await change({ password, username: 'erin' }, erin)).statusCode,
    204,
    'users may give their own usernames',
  )
  t.equal((await change({ password, username: 'alice' }, { as: 'erin', password })).statusCode, 403)
  t.equal((await change({ password: 'by-an-administrator', username: 'erin' }, root)).statusCode, 204)
  t.ok(await signsIn('erin', 'by-an-administrator'))
  await users.create({
    username: 'dora',
    directory: true,
    role: 'user',
    enabled: true,
    namespaces: [],
    password: null,
  })
  t.equal(
    (await change({ password, username: 'dora' }, root)).statusCode,
    409,
    "the directory's are the directory's",
  )
})

t.test('POST /user/namespaces replaces the list', async (t) => {
  const replace = (fields: object) => ask({ method: 'POST', url: '/user/namespaces', json: fields, ...root })
  await create({ username: 'fay', namespaces: ['a'] })
  const response = await replace({ username: 'fay', namespaces: ['c', 'b/d'] })
  t.strictSame([response.statusCode, response.json().namespaces], [200, ['b/d', 'c']])
  t.strictSame((await replace({ username: 'fay', namespaces: '' })).json().namespaces, [])
  const form = await ask({
    method: 'POST',
    url: '/user/namespaces',
    form: { username: 'fay', namespaces: '' },
    ...root,
  })
  t.strictSame(form.json().namespaces, [], 'an empty string clears the list')
})

t.test('the last cluster administrator is protected', async (t) => {
  const attempts = [
    ask({ method: 'DELETE', url: '/user?username=root', ...root }),
    patch({ username: 'root', admin: false }),
    patch({ username: 'root', role: 'administrator' }),
    patch({ username: 'root', enabled: false }),
  ]
  for (const response of await Promise.all(attempts)) t.match(response.json(), { status: 409 })
  await create({ username: 'boss', admin: true })
  t.equal((await ask({ method: 'DELETE', url: '/user?username=root', as: 'boss', password })).statusCode, 204)
  t.equal(
    (await ask({ url: '/users', ...root })).statusCode,
    401,
    'a deleted cluster administrator is refused at once',
  )
})
