import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startBareRegistry } from './harness/bare-registry.ts'
import { MEDIA_TYPES, makeImage } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * Manifests that stopped reconcile, got 503, or outlived their repository. They are pushed to the real registry.
 */

const foreign = (count: number) => ({
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.dockerManifest,
  layers: Array.from({ length: count }, (_, at) => ({
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    digest: `sha256:${at.toString(16).padStart(64, '0')}`,
    size: 1,
    urls: [`https://layers.example.com/${at}`],
  })),
})
const bytes = (value: object) => Buffer.from(JSON.stringify(value))

const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
t.teardown(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }))
// Content that was pushed to the registry before registry-manager was installed.
const bare = await startBareRegistry(t, join(dataDir, 'images'))
const past = createRegistryClient(bare.asSystem.url, basic({ username: 'nobody', password: 'nothing' }))
const config = await past.pushBlob('team/large', Buffer.from('{"os":"linux"}'))
const put = (
  client: typeof past,
  repository: string,
  reference: string,
  body: Buffer,
  type: string = MEDIA_TYPES.manifest,
) =>
  client.send('PUT', `/v2/${repository}/manifests/${reference}`, { headers: { 'content-type': type }, body })
const withConfig = {
  ...foreign(16_383),
  config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest: config, size: 14 },
}
const large = await put(past, 'team/large', 'v1', bytes(withConfig), MEDIA_TYPES.dockerManifest)
if (large.status !== 201) throw new Error(`the registry responded ${large.status} to 16,383 layers`)
for (const name of ['team/a', 'team/z']) await past.push(name, makeImage(), 'v1')
await bare.stop()

const system = await startSystem(t, { dataDir })
const jane = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
const remove = (repository: string) => jane.send('DELETE', `/image-manager/api/v1/repositories/${repository}`)

t.test('reconcile adopts a manifest of 16,383 layers, and its repository can be deleted', async (t) => {
  const catalog = async () => (await jane.send('GET', '/v2/_catalog')).json?.repositories
  for (
    const deadline = Date.now() + 60_000;
    !JSON.stringify(await catalog()).includes('team/z');
    await sleep(100)
  )
    if (Date.now() > deadline) throw new Error('team/z was not adopted within 60 s')
  t.same(await catalog(), ['team/a', 'team/z'])
  t.equal(
    (await jane.send('GET', '/v2/team/large/manifests/v1')).status,
    200,
    'the registry has the manifest',
  )
  const begun = Date.now()
  t.equal((await remove('team/large')).status, 200)
  t.comment(`deleted with 16,384 references in ${Date.now() - begun} ms`)
  t.equal((await jane.send('GET', '/v2/team/large/manifests/v1')).status, 404)
  t.equal((await jane.send('GET', `/v2/team/large/blobs/${config}`)).status, 404)
})

t.test('a manifest with more than 4096 descriptors is refused and never reaches the registry', async (t) => {
  const response = await put(jane, 'team/refused', 'v1', bytes(foreign(16_383)), MEDIA_TYPES.dockerManifest)
  t.match(response, { status: 400, code: 'MANIFEST_INVALID' })
  t.match(response.body.toString(), /4096 descriptors/)
  t.equal((await jane.send('GET', '/v2/team/refused/manifests/v1')).status, 404)
})

t.test('manifests with keys in the wrong case, duplicate keys or invalid UTF-8 are refused', async (t) => {
  for (const [body, said] of [
    [Buffer.from('{"schemaVersion":2,"Layers":[]}'), 'Layers'],
    [Buffer.from('{"schemaVersion":2,"layers":[],"layers":[]}'), 'duplicate key'],
    [Buffer.from('{"schemaVersion":2,"layers":[{"mediatype":"x"}]}'), 'mediatype'],
    [Buffer.from('{"schemaVersion":2,"annotations":{"a":"\xff"}}', 'latin1'), 'UTF-8'],
  ] as const) {
    const response = await put(jane, 'team/refused', 'v1', body)
    t.match(response, { status: 400, code: 'MANIFEST_INVALID' }, said)
    t.match(response.body.toString(), said)
  }
})

t.test('BuildKit’s cache can be the first push to a repository and is deleted with it', async (t) => {
  const blobs = [
    [MEDIA_TYPES.layer, Buffer.from('a layer of the cache')],
    ['application/vnd.buildkit.cacheconfig.v0', Buffer.from('{"layers":[{"blob":"…"}]}')],
  ] as const
  const manifests: object[] = []
  for (const [mediaType, blob] of blobs)
    manifests.push({ mediaType, digest: await jane.pushBlob('team/cache', blob), size: blob.length })
  const index = bytes({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests })
  t.equal((await put(jane, 'team/cache', 'buildcache', index, MEDIA_TYPES.index)).status, 201)
  t.equal((await jane.send('GET', '/v2/team/cache/manifests/buildcache')).status, 200)
  t.equal((await remove('team/cache')).status, 200)
  for (const one of manifests as { digest: string }[]) {
    t.equal((await jane.send('GET', `/v2/team/cache/blobs/${one.digest}`)).status, 404)
  }
})

t.test('a push succeeds if an image index names a blob as a manifest', async (t) => {
  const digest = await jane.pushBlob('team/liar', Buffer.from('no manifest'))
  const manifests = [{ mediaType: MEDIA_TYPES.manifest, digest, size: 11 }]
  const index = bytes({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests })
  t.equal((await put(jane, 'team/liar', 'v1', index, MEDIA_TYPES.index)).status, 201)
})
