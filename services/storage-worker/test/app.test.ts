import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createVolume } from '@registry-manager/testing/registry-volume'
import { until } from '@registry-manager/testing/until'
import type { Test } from 'tap'
import t from 'tap'
import { SERVICE_CREDENTIAL, startCollectionServer } from './fixtures/collection-server.ts'
import { startWorker } from './fixtures/worker.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

t.test('the worker removes the data that image-manager condemned, and nothing else', async (t) => {
  const { store, dataOf, folder } = createVolume(t)
  const kept = store('kept')
  const condemned = Array.from({ length: 1500 }, (_, index) => store(`blob ${index}`))
  const server = await startCollectionServer(t)
  server.condemned.push(...condemned)
  const worker = await startWorker(t, { kind: 'volume', folder }, server.url)
  await until(() => server.results.length === 2, 'both claims have results')
  t.same(
    server.claims.map(({ digests }) => digests.length),
    [1000, 500],
  )
  t.equal(new Set(server.claims.map(({ worker }) => worker)).size, 1)
  t.same(
    server.results.flatMap(({ removed }) => removed.map(({ digest }) => digest)).toSorted(),
    condemned.toSorted(),
  )
  for (const digest of condemned) if (existsSync(dataOf(digest))) t.fail(`${digest} is still stored`)
  t.ok(existsSync(dataOf(kept)))
  const bytes = condemned.map((_, index) => `blob ${index}`.length).reduce((sum, size) => sum + size, 0)
  t.equal(await worker.metric('storage_worker_digests_total', 'outcome="removed"'), 1500)
  t.equal(await worker.metric('storage_worker_removed_bytes_total'), bytes)
  t.match(await worker.readiness(), { status: 'ok', parts: { storage: { status: 'ok' } } })
})

t.test('the worker lists the storage when a listing is due', async (t) => {
  const { store, link, folder } = createVolume(t)
  const digests = Array.from({ length: 1200 }, (_, index) => store(`blob ${index}`))
  for (const digest of digests) link('team/app', 'blobs', digest)
  const server = await startCollectionServer(t)
  server.isListingDue = true
  const worker = await startWorker(t, { kind: 'volume', folder }, server.url)
  await until(() => server.ends.length === 1, 'the listing ends')
  const kinds = server.pages.map(({ blobs, links }) => [blobs?.length, links?.length])
  t.same(kinds, [
    [1000, undefined],
    [200, undefined],
    [undefined, 1000],
    [undefined, 200],
  ])
  t.same(
    server.pages.flatMap(({ blobs = [] }) => blobs.map(({ digest }) => digest)).toSorted(),
    digests.toSorted(),
  )
  t.same(server.pages.flatMap(({ links = [] }) => links).toSorted(), digests.toSorted())
  t.same(server.ends, [{ uploads: { count: 0, bytes: 0 } }])
  t.equal(await worker.metric('storage_worker_listings_total', 'outcome="complete"'), 1)
})

t.test('results that image-manager fails to accept are sent again', async (t) => {
  const { store, folder } = createVolume(t)
  const server = await startCollectionServer(t)
  server.failures.push(503, 500)
  server.condemned.push(store('some'))
  await startWorker(t, { kind: 'volume', folder }, server.url)
  await until(() => server.results.length === 1, 'the results are accepted')
  t.same(server.failures, [])
})

t.test('the data of a claim that has ended when it arrives is not removed', async (t) => {
  const { store, dataOf, folder } = createVolume(t)
  const server = await startCollectionServer(t)
  const digest = store('some')
  server.condemned.push(digest)
  server.seconds = 0.1
  server.onClaim = () => new Promise((resolve) => setTimeout(resolve, 200))
  await startWorker(t, { kind: 'volume', folder }, server.url)
  await until(() => server.results.length === 1, 'there are results')
  t.match(server.results, [{ removed: [], failed: [{ digest, reason: /time of the claim/ }] }])
  t.ok(existsSync(dataOf(digest)))
})

t.test(
  'an unavailable image-manager is reported as degraded, and an unavailable volume as failed',
  async (t) => {
    const { folder } = createVolume(t)
    const worker = await startWorker(
      t,
      { kind: 'volume', folder: join(folder, 'missing') },
      'http://127.0.0.1:1',
    )
    const parts = async () => (await worker.readiness()).parts
    await until(async () => (await parts())['image-manager'].status === 'degraded')
    t.match(await parts(), { storage: { status: 'failed', reason: /ENOENT/ } })
  },
)

t.test(
  'the worker does not fail with a previous version of image-manager, which has no API for claims',
  async (t) => {
    const { folder } = createVolume(t)
    const { url } = await startCollectionServer(t)
    const worker = await startWorker(t, { kind: 'volume', folder }, `${url}/of/another/version`)
    await worker.stop()
    t.same(
      worker.lines.filter(({ level }) => level >= 40),
      [],
    )
  },
)

/** Starts the worker as its own process. */
function startProcess(t: Test, folder: string, url: string) {
  const child = spawn(process.execPath, [MAIN], {
    env: {
      ...process.env,
      HOST: '127.0.0.1',
      INTERNAL_PORT: '0',
      IMAGE_MANAGER_URL: url,
      SERVICE_CREDENTIAL,
      REGISTRY_VOLUME: folder,
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = new Promise<{ code: number | null }>((resolve) =>
    child.once('exit', (code) => resolve({ code })),
  )
  return { kill: (signal: NodeJS.Signals) => child.kill(signal), ended }
}

t.test('another worker removes the data that a killed worker had claimed', async (t) => {
  const { store, dataOf, folder } = createVolume(t)
  const server = await startCollectionServer(t)
  const digests = Array.from({ length: 300 }, (_, index) => store(`blob ${index}`))
  server.condemned.push(...digests)
  const first = startProcess(t, folder, server.url)
  await until(() => server.claims.length === 1 && digests.some((digest) => !existsSync(dataOf(digest))))
  first.kill('SIGKILL')
  await first.ended
  // image-manager does so when the claim has ended.
  server.condemned.push(...digests)
  const second = startProcess(t, folder, server.url)
  await until(() => server.results.some(({ id }) => id === 'claim-1'), 'the second claim has results')
  t.same(server.results.at(-1)?.failed, [])
  for (const digest of digests) if (existsSync(dataOf(digest))) t.fail(`${digest} is still stored`)
  second.kill('SIGTERM')
  t.same(await second.ended, { code: 0 }, 'a stopped worker exits without an error')
})
