import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { connectPostgres } from '../packages/database/src/index.ts'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { startBareRegistry } from './harness/bare-registry.ts'
import { startInterceptingProxy } from './harness/intercepting-proxy.ts'
import { MANIFEST_TYPE, digestOf, pushBlob, pushSmallImage } from './harness/small-image.ts'
import type { Credentials, System } from './harness/system.ts'
import { basic, startSystem } from './harness/system.ts'

const API = '/image-manager/api/v1/repositories'
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
/** The bare registry requires no credentials. */
const ANY_CREDENTIALS: Credentials = { username: 'nobody', password: 'nothing' }

async function ask(system: System, credentials: Credentials, path: string, init: RequestInit = {}) {
  const headers = { authorization: basic(credentials), ...(init.headers as Record<string, string>) }
  const response = await fetch(system.url + path, { ...init, headers })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  return { status: response.status, body: isJson ? JSON.parse(text) : text }
}

/**
 * Repeats a request until its response is right. After the deadline it returns the last response, for the assertion.
 */
async function until<Value>(read: () => Promise<Value>, isRight: (value: Value) => boolean): Promise<Value> {
  for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
    const value = await read()
    if (isRight(value) || Date.now() > deadline) return value
  }
}

const same = (expected: unknown) => (value: unknown) => JSON.stringify(value) === JSON.stringify(expected)

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** Pushes a manifest. Returns its digest. */
async function pushManifest(system: System, repository: string, reference: string, manifest: object) {
  const body = JSON.stringify(manifest)
  const { mediaType } = manifest as { mediaType: string }
  const target = reference === 'by digest' ? digestOf(body) : reference
  const init = { method: 'PUT', body, headers: { 'content-type': mediaType } }
  const { status } = await ask(system, ANY_CREDENTIALS, `/v2/${repository}/manifests/${target}`, init)
  if (status !== 201) throw new Error(`the push of a manifest got ${status}`)
  return digestOf(body)
}

const indexOf = (mediaType: string, ...digests: string[]) => ({
  schemaVersion: 2,
  mediaType: INDEX_TYPE,
  manifests: digests.map((digest) => ({ mediaType, digest, size: 1 })),
})

t.test('reconcile adopts the images of a registry that existed before registry-manager', async (t) => {
  const dataDir = await folderFor(t)
  const bare = await startBareRegistry(t, join(dataDir, 'images'))
  const past = bare.asSystem
  const image = await pushSmallImage(past, ANY_CREDENTIALS, 'team/app', 'v1')
  const later = await pushSmallImage(past, ANY_CREDENTIALS, 'team/app', 'v2')
  for (const name of ['alone', 'lab/0/a', 'lab/0', 'lab/a-b', 'lab'])
    await pushSmallImage(past, ANY_CREDENTIALS, name, 'v1')
  const children = [await pushSmallImage(past, ANY_CREDENTIALS, 'team/multi', 'amd64')]
  children.push(await pushSmallImage(past, ANY_CREDENTIALS, 'team/multi', 'arm64'))
  const inner = await pushManifest(
    past,
    'team/multi',
    'by digest',
    indexOf(MANIFEST_TYPE, ...children.map((one) => one.digest)),
  )
  const outer = await pushManifest(past, 'team/multi', 'latest', indexOf(INDEX_TYPE, inner))
  const empty = await pushBlob(past, ANY_CREDENTIALS, 'team/app', Buffer.from('{}'))
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: empty, size: 2 }
  const subject = { mediaType: MANIFEST_TYPE, digest: image.digest, size: image.manifest.length }
  const artifactType = 'application/example.signature'
  const artifact = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType,
    config,
    layers: [config],
    subject,
  }
  const signature = await pushManifest(past, 'team/app', 'v1.sig', artifact)
  const gone = await pushSmallImage(past, ANY_CREDENTIALS, 'team/emptied', 'v1')
  await ask(past, ANY_CREDENTIALS, `/v2/team/emptied/manifests/${gone.digest}`, { method: 'DELETE' })
  t.same(
    (await ask(past, ANY_CREDENTIALS, '/v2/_catalog')).body.repositories.includes('team/emptied'),
    true,
    'the manifest is still referenced',
  )
  await bare.stop()

  const system = await startSystem(t, { dataDir })
  const jane = await system.createUser('jane', ['team'])
  const catalogOf = async (credentials: Credentials) =>
    (await ask(system, credentials, '/v2/_catalog')).body.repositories
  const names = ['alone', 'lab', 'lab/0', 'lab/0/a', 'lab/a-b', 'team/app', 'team/multi']
  t.strictSame(await until(() => catalogOf(system.admin), same(names)), names)
  t.strictSame(await catalogOf(jane), ['team/app', 'team/multi'], 'each user sees their own repositories')

  const { repositories } = (await ask(system, jane, API)).body
  t.match(repositories, [
    {
      name: 'team/app',
      owner: 'team',
      scope: 'namespace',
      tags: [{ name: 'v1' }, { name: 'v1.sig' }, { name: 'v2' }],
    },
    { name: 'team/multi', tags: [{ name: 'amd64' }, { name: 'arm64' }, { name: 'latest' }] },
  ])
  t.strictSame(repositories[0].tags[0].manifest, JSON.parse(image.manifest))
  const referrers = (await ask(system, jane, `/v2/team/app/referrers/${image.digest}`)).body
  t.match(referrers.manifests, [{ digest: signature, artifactType }])
  const pull = await ask(system, jane, '/v2/team/app/manifests/v2', { headers: { accept: MANIFEST_TYPE } })
  t.strictSame([pull.status, digestOf(JSON.stringify(pull.body))], [200, later.digest])

  // Reconcile also adopts manifests without a tag. Otherwise they could still be pulled.
  for (const tag of ['amd64', 'arm64']) {
    t.match(await ask(system, jane, `/v2/team/multi/manifests/${tag}`, { method: 'DELETE' }), { status: 202 })
  }
  t.match(await ask(system, jane, `${API}/team/multi`, { method: 'DELETE' }), { status: 200 })
  for (const digest of [outer, inner, ...children.map((one) => one.digest)]) {
    t.match(await ask(system, jane, `/v2/team/multi/manifests/${digest}`), { status: 404 })
  }
  t.match(await ask(system, jane, `/v2/team/multi/blobs/${children[0]?.layer}`), { status: 404 })
})

t.test('reconcile finds changes that were made directly in the registry', async (t) => {
  const system = await startSystem(t, { env: { RECONCILE_INTERVAL_SECONDS: '1' } })
  const { admin } = system
  const moved = await pushSmallImage(system, admin, 'team/app', 'moved')
  const deleted = await pushSmallImage(system, admin, 'team/app', 'deleted')
  await pushSmallImage(system, admin, 'team/lost', 'v1')
  await pushSmallImage(system, admin, 'team/last', 'v1')
  await ask(system, admin, `${API}/team/app`, { method: 'PUT', body: '{"scope":"global"}' })

  const images = join(system.dataDir, 'images')
  const past = (await startBareRegistry(t, images)).asSystem
  const newer = await pushSmallImage(past, ANY_CREDENTIALS, 'team/app', 'moved')
  await pushSmallImage(past, ANY_CREDENTIALS, 'team/new', 'v1')
  await ask(past, ANY_CREDENTIALS, `/v2/team/app/manifests/${deleted.digest}`, { method: 'DELETE' })
  await rm(join(images, 'docker/registry/v2/repositories/team/lost'), { recursive: true })

  const list = async () => (await ask(system, admin, API)).body.repositories
  const tagState = async () =>
    (await list()).map(({ name, scope, tags }: { name: string; scope: string; tags: { name: string }[] }) => [
      name,
      scope,
      tags.map((tag) => tag.name),
    ])
  const expected = [
    ['team/app', 'global', ['moved']],
    ['team/last', 'namespace', ['v1']],
    ['team/new', 'namespace', ['v1']],
  ]
  t.strictSame(await until(tagState, same(expected)), expected)
  const manifestOf = async () => JSON.stringify((await list())[0].tags[0].manifest)
  t.equal(await until(manifestOf, same(newer.manifest)), newer.manifest)
  t.match(
    await ask(system, admin, `/v2/team/app/manifests/${moved.digest}`),
    { status: 200 },
    'the manifest was not deleted',
  )

  // Pushes continue during the comparisons. Each push is correct as soon as it returns.
  for (let count = 0; count < 15; count++) {
    const { manifest } = await pushSmallImage(system, admin, 'team/busy', `v${count % 3}`)
    const { tags } = (await ask(system, admin, `${API}/team/busy`)).body
    t.strictSame(
      tags.find(({ name }: { name: string }) => name === `v${count % 3}`)?.manifest,
      JSON.parse(manifest),
    )
  }
})

t.test('reconcile recovers a push without a record and an interrupted deletion', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const bare = await startBareRegistry(t, join(await folderFor(t), 'images'))
  const { hooks, url } = await startInterceptingProxy(t, bare.url)
  const env = { DATABASE_URL: postgres.url, REGISTRY_URL: url, RECONCILE_INTERVAL_SECONDS: '1' }
  const system = await startSystem(t, { env })
  const { admin } = system
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const image = await pushSmallImage(system, admin, 'team/app', 'v1')
  const dying = await pushSmallImage(system, admin, 'team/dying', 'v1')

  // The manifest is pushed by its digest: no tag in the registry leads to it.
  const blobs = JSON.parse(image.manifest)
  for (const { digest } of [blobs.config, ...blobs.layers]) {
    const mount = `/v2/team/pending/blobs/uploads/?mount=${digest}&from=team/app`
    t.match(await ask(system, admin, mount, { method: 'POST' }), { status: 201 })
  }
  hooks.after = async (method, path) => {
    if (method === 'PUT' && path.includes('/manifests/')) await postgres.stop()
  }
  const put = { method: 'PUT', body: image.manifest, headers: { 'content-type': MANIFEST_TYPE } }
  const push = await ask(system, admin, `/v2/team/pending/manifests/${image.digest}`, put)
  t.match(push, { status: 503 }, 'the push was not recorded')
  hooks.after = async () => {}
  await postgres.start()

  // Not every 503 is the expected one: the database was unavailable a moment ago.
  let isBrokenOff = false
  hooks.before = async (method, path) => {
    if (method !== 'DELETE' || !path.includes('/blobs/')) return
    isBrokenOff = true
    throw new Error('the deletion was not interrupted')
  }
  const deletion = () => ask(system, admin, `${API}/team/dying`, { method: 'DELETE' })
  t.match(await until(deletion, ({ status }) => status === 503 && isBrokenOff), { status: 503 })
  hooks.before = async () => {}
  const past = bare.asSystem
  t.match(
    await ask(past, ANY_CREDENTIALS, `/v2/team/dying/blobs/${dying.layer}`),
    { status: 200 },
    'a part of the content remains',
  )

  // Makes the interrupted deletion old enough for recovery.
  const old = new Date(Date.now() - 600_000)
  const { numUpdatedRows } = await db
    .updateTable('pending_pushes')
    .set({ announced_at: old })
    .executeTakeFirstOrThrow()
  t.equal(numUpdatedRows, 1n)
  await db.updateTable('repositories').set({ deleting_since: old }).where('name', '=', 'team/dying').execute()

  const catalog = async () => (await ask(system, admin, '/v2/_catalog')).body.repositories
  t.strictSame(await until(catalog, same(['team/app', 'team/pending'])), ['team/app', 'team/pending'])
  t.match(await ask(system, admin, `/v2/team/pending/manifests/${image.digest}`), { status: 200 })
  const left = async () => (await ask(past, ANY_CREDENTIALS, `/v2/team/dying/blobs/${dying.layer}`)).status
  t.equal(await until(left, same(404)), 404)
  t.strictSame(await db.selectFrom('pending_pushes').select('id').execute(), [])
  // The content is deleted before the repository's row. Until then a push gets 503.
  const rows = async () =>
    db.selectFrom('repositories').select('id').where('name', '=', 'team/dying').execute()
  t.strictSame(await until(rows, same([])), [], 'the deletion is complete')
  await pushSmallImage(system, admin, 'team/dying', 'v2')
})
