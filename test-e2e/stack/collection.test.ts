import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '@registry-manager/testing/until'
import type { Test } from 'tap'
import t from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'
import { createSigningKeys } from '../../services/auth-service/src/access-tokens/signing-key-files.ts'
import { createBucket } from '../../services/storage-worker/test/fixtures/bucket.ts'
import type { Made } from '../harness/manifests.ts'
import { digestOf, makeImage, randomLayer } from '../harness/manifests.ts'
import { createRegistryClient } from '../harness/registry-client.ts'
import { startRegistryOnS3, storageOnS3 } from '../harness/registry-on-s3.ts'
import { s3IsMissing, startS3Server } from '../harness/s3-server.ts'
import { restartProcess } from '../harness/stack-processes.ts'
import { basic, startStack } from '../harness/system.ts'

/* The storage worker as a process of its own: on S3, and killed. */

const QUICK = {
  GC_INTERVAL_SECONDS: '1',
  GC_GRACE_SECONDS: '1',
  RECONCILE_INTERVAL_SECONDS: '1',
  TRASH_DAYS: '0',
}
const DATA = /\/blobs\/sha256\/..\/([0-9a-f]{64})\/data$/

const digestsOf = (...images: readonly Made[]) => [
  ...new Set(
    images.flatMap(({ descriptor, blobs }) => [descriptor.digest, ...blobs.map((blob) => digestOf(blob))]),
  ),
]

/** Pushes two images with a common layer and deletes one. Returns the client and the images. */
async function pushAndDelete(system: Awaited<ReturnType<typeof startStack>>) {
  const jane = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
  const shared = randomLayer(6 << 20)
  const [kept, removed] = [makeImage({ layers: [shared] }), makeImage({ layers: [shared, randomLayer()] })]
  await jane.push('team/app', kept, 'kept')
  await jane.push('team/app', removed, 'removed')
  const path = `/v2/team/app/manifests/${removed.descriptor.digest}`
  return { jane, kept, removed, remove: async () => (await jane.send('DELETE', path)).status }
}

async function pulls(t: Test, client: ReturnType<typeof createRegistryClient>, image: Made) {
  for (const blob of image.blobs) {
    const { status, body } = await client.send('GET', `/v2/team/app/blobs/${digestOf(blob)}`)
    t.strictSame([status, body.equals(blob)], [200, true])
  }
}

t.test(
  'with S3, the bucket has exactly the reachable data after a deletion',
  { skip: s3IsMissing() },
  async (t) => {
    const s3 = await startS3Server(t)
    const bucket = createBucket(t, s3)
    const keys = await mkdtemp(join(tmpdir(), 'keys-'))
    t.teardown(() => rm(keys, { recursive: true, force: true }))
    await createSigningKeys(keys)
    const port = await freePort()
    const registryUrl = await startRegistryOnS3(t, {
      s3,
      publicHost: `localhost:${port}`,
      keys,
      redirects: false,
    })
    const system = await startStack(t, {
      port,
      env: { ...QUICK, ...storageOnS3(s3), REGISTRY_URL: registryUrl, SIGNING_KEYS_DIR: keys },
    })
    const { jane, kept, removed, remove } = await pushAndDelete(system)
    const stored = async () =>
      (await bucket.keys())
        .flatMap((key) => DATA.exec(key)?.[1] ?? [])
        .map((hex) => `sha256:${hex}`)
        .toSorted()
    t.same(await stored(), digestsOf(kept, removed).toSorted())
    t.equal(await remove(), 202)
    await until(async () => (await stored()).length === digestsOf(kept).length, 'the data leaves the bucket')
    t.same(await stored(), digestsOf(kept).toSorted(), 'exactly the reachable data is stored')
    await pulls(t, jane, kept)
    await jane.push('team/app', removed, 'again')
    await pulls(t, jane, removed)
  },
)

t.test('data leaves the disk although the storage worker is killed', async (t) => {
  const system = await startStack(t, { env: QUICK })
  const blobs = join(system.dataDir, 'images/docker/registry/v2/blobs/sha256')
  const { jane, kept, removed, remove } = await pushAndDelete(system)
  t.equal(await remove(), 202)
  await restartProcess(system, 'storage-worker', 'SIGKILL')
  const stored = async () =>
    (await readdir(blobs, { recursive: true }))
      .filter((name) => name.endsWith('/data') && existsSync(join(blobs, name)))
      .map((name) => `sha256:${name.split('/').at(-2)}`)
      .toSorted()
  // A claim of the killed worker ends after 90 s.
  await until(async () => (await stored()).length === digestsOf(kept).length, 'the data leaves the disk', 150)
  t.same(await stored(), digestsOf(kept).toSorted())
  await pulls(t, jane, kept)
  await jane.push('team/app', removed, 'again')
})
