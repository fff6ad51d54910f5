import { randomUUID } from 'node:crypto'
import { SERVICE_CREDENTIAL } from '../fixtures/fake-auth-service.ts'
import { repositoryAccess } from '@registry-manager/oci'
import { sql } from 'kysely'
import t from 'tap'
import { BASE, startImageManager } from '../fixtures/image-manager.ts'

const DIGEST = `sha256:${'1'.repeat(64)}`
const { db, askFor, internalApp, fill, token } = await startImageManager(t)
await fill({ 'team/app': 'namespace' })
await sql`
  with manifest as (
    insert into all_manifests (repository_id, digest, media_type, raw)
    select id, ${DIGEST}, 'application/x', ${Buffer.from('{}')} from all_repositories returning repository_id, digest
  )
  insert into tags (repository_id, name, digest) select repository_id, 'v1', digest from manifest`.execute(db)

const post = (payload: object, authorization = `Bearer ${SERVICE_CREDENTIAL}`) =>
  internalApp.inject({ method: 'POST', url: '/internal/pulls', headers: { authorization }, payload })
const pull = {
  repository: 'team/app',
  digest: DIGEST,
  tag: 'v1',
  count: 2,
  lastAt: '2026-11-01T12:00:00.000Z',
}

t.test('registry-proxy reports pulls, and the lists show them', async (t) => {
  const reported = await post({ id: randomUUID(), pulls: [pull, { ...pull, tag: undefined }] })
  t.match([reported.statusCode, reported.json()], [200, { known: true }])
  const tags = await askFor(`${BASE}/tags?repository=team/app`, { as: 'alice' })
  const lastPulledAt = '2026-11-01T12:00:00.000Z'
  t.match(tags.json(), { items: [{ name: 'v1', digest: DIGEST, pulls: 2, lastPulledAt }], next: null })
  const manifests = await askFor(`${BASE}/manifests?repository=team%2Fapp&limit=1`, { as: 'alice' })
  const expected = {
    digest: DIGEST,
    mediaType: 'application/x',
    size: 2,
    tags: ['v1'],
    pulls: 4,
    lastPulledAt,
  }
  t.match(manifests.json(), { items: [expected], next: null })
  t.equal(manifests.headers['cache-control'], 'no-store')
})

t.test('pulls are accepted from services only, and a malformed batch is refused', async (t) => {
  const id = randomUUID()
  t.equal((await post({ id, pulls: [] }, 'Bearer nonsense')).statusCode, 401)
  for (const payload of [
    {},
    { id: 'x', pulls: [] },
    { id, pulls: [{ ...pull, count: 0 }] },
    { id, pulls: [{ ...pull, digest: 'latest' }] },
    { id, pulls: [{ ...pull, tag: 'a/b' }] },
    { id, pulls: [{ ...pull, lastAt: 'yesterday' }] },
    { id, pulls: Array.from({ length: 1001 }, () => pull) },
  ])
    t.equal((await post(payload)).statusCode, 400, JSON.stringify(payload).slice(0, 80))
})

t.test('the lists of tags and manifests with pulls are for those who may pull', async (t) => {
  for (const list of ['tags', 'manifests']) {
    const url = `${BASE}/${list}?repository=team/app`
    t.equal((await askFor(url)).statusCode, 401)
    t.equal((await askFor(url, { as: 'otto' })).statusCode, 404)
    t.equal((await askFor(url, { as: 'robot' })).statusCode, 200, 'a registry token that may pull')
    const bearer = token('alice', [repositoryAccess('team/app', 'delete')])
    t.match((await askFor(url, { bearer })).statusCode, 403)
    t.equal((await askFor(`${BASE}/${list}?repository=team/none`, { as: 'alice' })).statusCode, 404)
    const bad = await askFor(`${BASE}/${list}?repository=team/app&after=%2F`, { as: 'alice' })
    t.match(bad.json(), { status: 400, field: 'after', detail: /must be a (tag|digest)/ })
    t.match((await askFor(`${BASE}/${list}`, { as: 'alice' })).json(), { status: 400, field: 'repository' })
  }
})
