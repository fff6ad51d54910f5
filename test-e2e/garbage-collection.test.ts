import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'
import { freePort } from '../deploy/local/free-port.ts'
import { findRegistry } from '../deploy/local/registry-binary.js'
import { startRegistry } from '../deploy/local/registry-child.ts'
import { registryEnvironment } from '../deploy/local/registry-environment.ts'
import { createSigningKeys } from '../services/auth-service/src/access-tokens/signing-key-files.ts'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import type { Made } from './harness/manifests.ts'
import { digestOf, makeImage, randomLayer } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { runCommand } from './harness/run-command.ts'
import { basic, startSystem } from './harness/system.ts'

/* The garbage collection that docs/images.md explains under "Deleting": stop the registry, collect, start it again. */

const CONFIG = fileURLToPath(new URL('../deploy/registry/config.yml', import.meta.url))
const REPOSITORY = 'team/app'
const binary = findRegistry(process.env, t.comment).REGISTRY_BINARY ?? process.env['REGISTRY_BINARY']

/** Starts a registry that a test can stop, collect and start again, with registry-manager in front of it. */
async function startBoth(t: Test, trashDays: number) {
  const folder = await mkdtemp(join(tmpdir(), 'garbage-collection-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await createSigningKeys(join(folder, 'keys'))
  const [port, registryPort] = [await freePort(), await freePort()]
  const place = {
    folder: join(folder, 'images'),
    httpSecret: 'a secret that uploads are signed with',
    realm: `http://localhost:${port}/auth/v2/token`,
    service: `localhost:${port}`,
    issuer: `localhost:${port}`,
    authority: join(folder, 'keys', 'ca.pem'),
  }
  const start = () =>
    startRegistry({ ...place, binary, port: registryPort, onDeath: (reason) => t.fail(reason) })
  let registry = await start()
  t.teardown(() => registry.stop())
  const env = {
    REGISTRY_URL: registry.url,
    SIGNING_KEYS_DIR: join(folder, 'keys'),
    TRASH_DAYS: String(trashDays),
  }
  return {
    system: await startSystem(t, { port, env }),
    stop: () => registry.stop(),
    start: async () => void (registry = await start()),
    collect: () =>
      runCommand(binary ?? '', ['garbage-collect', CONFIG], {
        env: registryEnvironment({ ...place, address: `127.0.0.1:${registryPort}` }),
      }),
    /** Whether the storage has the bytes of a blob. Source: distribution, registry/storage/paths.go. */
    isStored(digest: string) {
      const [algorithm = '', hex = ''] = digest.split(':')
      const blobs = join(place.folder, 'docker', 'registry', 'v2', 'blobs')
      return existsSync(join(blobs, algorithm, hex.slice(0, 2), hex, 'data'))
    },
  }
}

const skip = binary === undefined && 'this test needs a registry binary'

t.test('a collected image can be pushed again and pulled, and other images stay', { skip }, async (t) => {
  const page = readFileSync(new URL('../docs/images.md', import.meta.url), 'utf8')
  t.match(page, ' stop registry\n', 'docs/images.md stops the registry first')
  t.match(page, 'registry garbage-collect /etc/registry.yml\n', 'docs/images.md has this command')

  const { system, isStored, ...registry } = await startBoth(t, 0)
  const client = createRegistryClient(system.url, basic(system.admin))
  const shared = randomLayer(5000)
  const [kept, collected] = [
    makeImage({ layers: [shared] }),
    makeImage({ layers: [shared, randomLayer(5000)] }),
  ]
  const digestsOf = ({ blobs }: Made) => blobs.map((blob) => digestOf(blob))
  const statusOf = async (method: string, path: string) =>
    (await client.send(method, `/v2/${REPOSITORY}/${path}`)).status
  const checkPull = async (image: Made, tag: string) => {
    const manifest = await client.send('GET', `/v2/${REPOSITORY}/manifests/${tag}`)
    t.strictSame([manifest.status, digestOf(manifest.body)], [200, image.descriptor.digest], tag)
    for (const blob of image.blobs) {
      const pulled = await client.send('GET', `/v2/${REPOSITORY}/blobs/${digestOf(blob)}`)
      t.strictSame([pulled.status, digestOf(pulled.body)], [200, digestOf(blob)], `a blob of ${tag}`)
    }
  }
  await client.push(REPOSITORY, kept, 'kept')
  await client.push(REPOSITORY, collected, 'collected')
  // Clients and the registry have seen the blobs before: a cache would remember them now.
  await checkPull(collected, 'collected')

  t.equal(await statusOf('DELETE', `manifests/${collected.descriptor.digest}`), 202)
  const unused = digestsOf(collected).filter((digest) => digest !== digestOf(shared[1]))
  for (const digest of unused) t.ok(isStored(digest), 'a deletion by itself frees no space')
  await registry.stop()
  t.equal(await statusOf('GET', 'manifests/kept'), 503, 'pulls get 503 while the registry is stopped')
  await registry.collect()
  for (const digest of unused) t.notOk(isStored(digest), 'the collection freed the space')
  for (const digest of digestsOf(kept))
    t.ok(isStored(digest), 'the collection kept the data that an image uses')
  await registry.start()
  const status = async () => String(await statusOf('GET', 'manifests/kept'))
  t.equal(await waitForAllReplicas(status, '200', 60_000), '200', 'the registry serves again')

  await checkPull(kept, 'kept')
  t.equal(await statusOf('HEAD', 'manifests/collected'), 404)
  // As docker pushes: a blob that the registry claims to have is not uploaded ("Layer already exists").
  const uploaded: string[] = []
  for (const blob of collected.blobs) {
    if ((await statusOf('HEAD', `blobs/${digestOf(blob)}`)) === 200) continue
    uploaded.push(await client.pushBlob(REPOSITORY, blob))
  }
  t.strictSame(uploaded, unused, 'exactly the collected blobs are uploaded again')
  t.equal((await client.putManifest(REPOSITORY, 'again', collected)).status, 201)
  for (const digest of digestsOf(collected)) t.ok(isStored(digest))
  await checkPull(collected, 'again')
  await checkPull(kept, 'kept')
})

t.test('an image in the trash survives a collection and can be restored', { skip }, async (t) => {
  const { system, isStored, ...registry } = await startBoth(t, 14)
  const client = createRegistryClient(system.url, basic(system.admin))
  const image = makeImage({ layers: [randomLayer(5000)] })
  const digests = image.blobs.map((blob) => digestOf(blob))
  await client.push(REPOSITORY, image, 'v1')
  const path = `/v2/${REPOSITORY}/manifests/${image.descriptor.digest}`
  t.equal((await client.send('DELETE', path)).status, 202)
  await registry.stop()
  await registry.collect()
  for (const digest of digests) t.ok(isStored(digest))
  await registry.start()
  const [entry] = (await client.send('GET', '/namespaces/team/trash')).json.items
  const status = async () => String((await client.send('GET', path)).status)
  t.equal(await waitForAllReplicas(status, '404', 60_000), '404', 'the registry serves again')
  const restored = await client.send('POST', `/namespaces/team/trash/${entry.id}/restore`)
  t.match([restored.status, restored.json], [200, { tags: ['v1'] }])
  t.ok((await client.send('GET', path)).body.equals(image.bytes))
  for (const [at, digest] of digests.entries()) {
    const pulled = await client.send('GET', `/v2/${REPOSITORY}/blobs/${digest}`)
    t.ok(image.blobs[at]?.equals(pulled.body), digest)
  }
})
