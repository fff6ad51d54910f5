import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { freePort } from '../../deploy/local/free-port.ts'
import { createSigningKeys } from '../../services/auth-service/src/access-tokens/signing-key-files.ts'
import { createImage, ociManifest, readImageFolder } from '../harness/images.ts'
import type { Image } from '../harness/images.ts'
import { createRegistryClient } from '../harness/registry-client.ts'
import { startRegistryOnS3 } from '../harness/registry-on-s3.ts'
import { s3IsMissing, startS3Server } from '../harness/s3-server.ts'
import type { S3Server } from '../harness/s3-server.ts'
import { pushSmallImage } from '../harness/small-image.ts'
import { createSkopeo, skopeoIsMissing } from '../harness/skopeo.ts'
import type { System } from '../harness/system.ts'
import { basic, startStack, tokenFor } from '../harness/system.ts'

/* The stack in front of a registry that stores images in a real S3 server (Ceph). */

const missing = (await skopeoIsMissing()) || s3IsMissing()
const LAYER_BYTES = 12 << 20
/** The values of CONTENT_FROM. With `redirect`, clients get layers from S3, and nginx caches manifests. */
const MODES = { registry: 'registry', cache: 'cache', redirect: 'cache' } as const
const SIGNATURE = /X-Amz-Signature|X-Amz-Credential/i
type Mode = keyof typeof MODES

interface Pushed {
  readonly system: System
  readonly s3: S3Server
  readonly image: Image
  /** Requests with access tokens. */
  readonly client: ReturnType<typeof createRegistryClient>
}

/** Starts the stack in front of a registry on S3. */
async function startOnS3(t: Test, s3: S3Server, redirects: boolean, settings: Record<string, string>) {
  const keys = await mkdtemp(join(tmpdir(), 'keys-'))
  t.teardown(() => rm(keys, { recursive: true, force: true }))
  await createSigningKeys(keys)
  const port = await freePort()
  const publicHost = `localhost:${port}`
  const registryUrl = await startRegistryOnS3(t, { s3, publicHost, keys, redirects })
  const env = { ...settings, REGISTRY_URL: registryUrl, SIGNING_KEYS_DIR: keys, LOG_LEVEL: 'debug' }
  return startStack(t, { port, env })
}

/** Starts the stack in this mode, pushes an image with skopeo, and pulls it three times. */
async function pushInMode(t: Test, s3: S3Server, mode: Mode): Promise<Pushed & { readonly pull: string }> {
  const redirects = mode === 'redirect'
  const settings = { CONTENT_FROM: MODES[mode], BLOB_REDIRECTS: redirects ? s3.url : '' }
  const system = await startOnS3(t, s3, redirects, settings)
  const folder = await mkdtemp(join(tmpdir(), 'images-on-s3-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const layout = join(folder, 'image')
  const image = await createImage(layout, { seed: mode, layers: 3, layerBytes: LAYER_BYTES })
  const skopeo = createSkopeo(system, folder, 'admin')
  await skopeo.login(system.admin)
  const remote = `docker://${system.host}/team/${mode}:1`
  await skopeo.copy(`oci:${layout}:latest`, remote, '--format=oci')
  const pull = join(folder, 'pulled')
  // The third pull comes from the cache of nginx, which stores what is read twice.
  for (const time of [1, 2, 3]) {
    await rm(pull, { recursive: true, force: true })
    await skopeo.copy(remote, `dir:${pull}`)
    t.comment(`${mode}: pull ${time} is complete`)
  }
  const token = await tokenFor(system, system.admin, `repository:team/${mode}:pull,push,delete`)
  return { system, s3, image, pull, client: createRegistryClient(system.url, `Bearer ${token}`) }
}

for (const mode of Object.keys(MODES) as Mode[]) {
  t.test(`an image on S3 is pushed and pulled without a change: ${mode}`, { skip: missing }, async (t) => {
    const s3 = await startS3Server(t)
    const pushed = await pushInMode(t, s3, mode)
    const { image, pull, client, system } = pushed
    const found = await readImageFolder(pull)
    t.equal(found.digest, image.descriptor.digest)
    const digests = [image.manifest.config, ...image.manifest.layers].map(({ digest }) => digest)
    t.same(found.blobs, digests.toSorted())
    const [layer] = image.manifest.layers
    const blob = `/v2/team/${mode}/blobs/${layer!.digest}`
    if (mode === 'redirect') await readsFromS3(t, pushed, blob)
    else await readsThroughNginx(t, pushed, blob, layer!.size)
    for (const reference of ['1', image.descriptor.digest]) {
      const path = `/v2/team/${mode}/manifests/${reference}`
      const manifest = await client.send('GET', path, { headers: { accept: ociManifest } })
      t.equal(manifest.status, 200, 'a manifest is never redirected')
      t.same(manifest.json, image.manifest)
    }
    // nginx stores what is read twice.
    const stored = await storedLayers(system)
    t.equal(
      stored.length,
      mode === 'cache' ? image.manifest.layers.length : 0,
      'layers in the cache of nginx',
    )
    await deletionsWork(t, pushed, mode)
    t.notMatch(await logsOf(system), SIGNATURE, 'no log has a signature')
  })
}

t.test('a redirect to S3 is refused without BLOB_REDIRECTS', { skip: missing }, async (t) => {
  const s3 = await startS3Server(t)
  for (const CONTENT_FROM of ['registry', 'cache']) {
    const system = await startOnS3(t, s3, true, { CONTENT_FROM })
    const { repository, layer } = await pushSmallImage(system, system.admin, 'team/app', 'v1')
    const token = await tokenFor(system, system.admin, `repository:${repository}:pull`)
    const client = createRegistryClient(system.url, `Bearer ${token}`)
    const response = await client.send('GET', `/v2/${repository}/blobs/${layer}`)
    t.match(response, { status: 502, code: 'UNKNOWN' }, CONTENT_FROM)
    t.equal(response.headers['location'], undefined)
    // nginx answers the client before registry-proxy has written its line to the file.
    const origin = `"origin":"${s3.url}"`
    await until(async () => (await logsOf(system)).includes(origin), 'the log names the origin')
    t.notMatch(await logsOf(system), SIGNATURE)
    await system.stop()
  }
})

async function readsThroughNginx(t: Test, { client }: Pushed, blob: string, size: number) {
  const part = await client.send('GET', blob, { headers: { range: 'bytes=1000-1999' } })
  t.same([part.status, part.body.length], [206, 1000])
  const head = await client.send('HEAD', blob)
  t.same([head.status, head.headers['content-length']], [200, String(size)])
}

async function readsFromS3(t: Test, { client, s3, system }: Pushed, blob: string) {
  for (const method of ['GET', 'HEAD']) {
    const response = await client.send(method, blob)
    t.equal(response.status, 307, method)
    t.equal(response.headers['cache-control'], 'no-store')
    const location = response.headers['location'] ?? ''
    t.equal(new URL(location).searchParams.get('X-Amz-Expires'), '1200', 'for 20 minutes')
    t.ok(location.startsWith(`${s3.url}/${s3.bucket}/`), 'to the bucket')
    const content = await fetch(location, { method, headers: { range: 'bytes=0-99' } })
    t.equal(content.status, 206, 'the signed URL works for the method of the request, without a token')
    const tampered = location.replace(/(Signature=)../, '$1ff')
    t.equal((await fetch(tampered, { method })).status, 403, 'S3 refuses another signature')
  }
  const anonymous = createRegistryClient(system.url, '')
  t.equal((await anonymous.send('GET', blob)).status, 401, 'nobody is redirected without a token')
  const elsewhere = await client.send('GET', blob.replace('/team/', '/other/'))
  t.equal(elsewhere.status, 401)
  const api = createRegistryClient(system.url, basic(system.admin))
  const sha512 = await api.pushBlob('team/redirect', randomBytes(1000), 'sha512')
  const path = `/v2/team/redirect/blobs/${sha512}`
  t.equal((await client.send('GET', path)).status, 307, 'a blob is found by its sha512 digest')
  t.equal((await client.send('DELETE', path)).status, 202)
  t.equal((await client.send('GET', path)).status, 404)
}

/** image-manager asks the registry for blobs before and after it deletes them. */
async function deletionsWork(t: Test, { client, image, system }: Pushed, mode: Mode) {
  const repository = `team/${mode}`
  const api = createRegistryClient(system.url, basic(system.admin))
  const path = `/image-manager/api/v1/repositories/${repository}`
  t.equal((await api.send('DELETE', path)).status, 200)
  for (const { digest } of [image.manifest.config, ...image.manifest.layers])
    t.equal((await client.send('GET', `/v2/${repository}/blobs/${digest}`)).status, 404, digest)
}

/** The layers in nginx's content cache. Configs and manifests are smaller. */
async function storedLayers({ dataDir }: System): Promise<readonly string[]> {
  const folder = join(dataDir, 'nginx/content')
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = files.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const sizes = await Promise.all(paths.map((path) => stat(path).then(({ size }) => size)))
  return paths.filter((_, at) => sizes[at]! >= LAYER_BYTES)
}

/** The text of all logs of the stack. */
async function logsOf({ dataDir }: System): Promise<string> {
  const folder = join(dataDir, 'logs')
  const texts = (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8'))
  return (await Promise.all(texts)).join('\n')
}
