import { sql } from 'kysely'
import t from 'tap'
import { SERVICE_CREDENTIAL } from '../fixtures/fake-auth-service.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { startImageManager } from '../fixtures/image-manager.ts'

const { db, ask, askInternal, internalApp, registry, fill } = await startImageManager(t)
const authorization = SERVICE_CREDENTIAL
const announce = (repository: string, digest: string) =>
  internalApp.inject({
    method: 'POST',
    url: '/internal/announced-blobs',
    headers: { authorization: `Bearer ${authorization}` },
    payload: { repository, digest },
  })

t.test('a tag list without n has up to 10,000 tags in a page; n sets the size of the pages', async (t) => {
  await fill({ 'team/many': 'namespace' })
  await sql`
    insert into manifests (repository_id, digest, media_type, raw)
    select id, 'sha256:1', 'x/y', '' from repositories`.execute(db)
  await sql`
    insert into tags (repository_id, name, digest)
    select id, 'tag-' || lpad(nr::text, 5, '0'), 'sha256:1' from repositories, generate_series(1, 10001) as each (nr)`.execute(
    db,
  )
  const list = async (query = '') => (await askInternal(`/internal/tags?repository=team/many${query}`)).json()
  const all = await list()
  t.same([all.names.length, all.more, all.names.at(-1)], [10_000, true, 'tag-10000'])
  t.same(await list('&last=tag-10000'), { names: ['tag-10001'], more: false })
  const page = await list('&n=100')
  t.same([page.names.length, page.more], [100, true])
})

t.test('a repository with blobs only is hidden; a principal who may delete it can do so once', async (t) => {
  await fill({})
  const digest = digestOf(Buffer.from('blob'))
  t.equal((await announce('team/blobs', digest)).statusCode, 200)
  registry.blobs.add(digest)
  registry.repositories.set('team/blobs', {
    manifests: new Map(),
    tags: new Map(),
    blobs: registry.blobs,
    canonicalNames: new Map(),
  })
  t.equal((await ask('/team/blobs', { as: 'alice' })).statusCode, 404)
  t.equal((await askInternal('/internal/tags?repository=team/blobs')).statusCode, 404)
  t.equal((await ask('/other/blobs', { as: 'alice', method: 'DELETE' })).statusCode, 404)
  await announce('other/blobs', digest)
  t.equal(
    (await ask('/other/blobs', { as: 'alice', method: 'DELETE' })).statusCode,
    404,
    'alice may not delete in other/',
  )
  t.equal(
    (await ask('/team/blobs', { as: 'robot', method: 'DELETE' })).statusCode,
    403,
    'a registry token may not delete it',
  )
  t.ok(registry.blobs.has(digest))
  t.equal((await ask('/team/blobs', { as: 'alice', method: 'DELETE' })).statusCode, 200)
  t.notOk(registry.blobs.has(digest))
  t.equal(
    (await ask('/team/blobs', { as: 'alice', method: 'DELETE' })).statusCode,
    404,
    'a repeat finds nothing',
  )
})

t.test('an upload into a repository that is being deleted gets 503 with Retry-After', async (t) => {
  await fill({ 'team/going': 'namespace' })
  await db.updateTable('repositories').set({ deleting_since: new Date() }).execute()
  const answer = await announce('team/going', digestOf(Buffer.from('blob')))
  t.equal(answer.statusCode, 503)
  t.equal(answer.headers['retry-after'], '2')
})

t.test(
  'a repository that stops being global is listed with its generation while tokens may live',
  async (t) => {
    await fill({ 'team/shared': 'global' })
    const scopes = async () =>
      (
        await internalApp.inject({
          method: 'POST',
          url: '/internal/scopes',
          headers: { authorization: `Bearer ${authorization}` },
          payload: { names: ['team/shared', 'team/other'] },
        })
      ).json()
    const ended = async () => (await askInternal('/internal/ended-globals')).json().repositories
    const [number, generation] = (await scopes()).marks['team/shared']
    t.equal(generation, 0)
    t.equal((await ended())[number], undefined)
    const setScope = (scope: string) =>
      ask('/team/shared', { as: 'alice', method: 'PUT', payload: JSON.stringify({ scope }) })
    await setScope('namespace')
    t.same(await scopes(), { global: [], marks: {} })
    t.equal((await ended())[number], 1)
    await setScope('namespace')
    t.equal((await ended())[number], 1, 'a private repository does not raise its generation')
    await setScope('global')
    t.same((await scopes()).marks, { 'team/shared': [number, 1] })
    await ask('/team/shared', { as: 'alice', method: 'DELETE' })
    t.equal((await ended())[number], 2, 'deleting the repository ends its global scope')
    await db
      .updateTable('ended_globals')
      .set({ ended_at: new Date(Date.now() - 7_201_000) })
      .execute()
    t.same(await ended(), {})
  },
)
