import { setTimeout as sleep } from 'node:timers/promises'
import { connectPostgres } from '@registry-manager/database'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import type { Test } from 'tap'
import t from 'tap'
import { createPush } from '../../src/push/index.ts'
import { countUsage } from '../../src/quotas/count-usage.ts'
import { createQuotas } from '../../src/quotas/index.ts'
import { NO_QUOTA } from '../../src/quotas/quota.ts'
import { createUsageCountsRepository } from '../../src/quotas/usage-counts-repository.ts'
import { MANIFEST, repositoriesOf } from '../fixtures/index-and-registry.ts'
import { createMemoryRegistry } from '../fixtures/memory-registry.ts'
import { parsed } from '../fixtures/reconcile.ts'
import { imageOf, layerDigest, readCounts, recompute } from '../fixtures/usage.ts'

const [CLIENTS, STEPS] = [6, 250]
const PAGE = { after: '', limit: 1000 }
const REPOSITORIES = ['red/a', 'red/b', 'red/c', 'blue/a', 'blue/b/c', 'plain']
const LAYERS = ['one', 'two', 'three', 'four', 'five']
/** Room for some of the images only, so that pushes are refused. */
const BYTES = 15_000

/** A generator of numbers below 1 (mulberry32): a failure is repeated with its seed. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Two processes, each with its own connections, on one database and one registry. */
async function startTwo(t: Test) {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return undefined
  const databases = [connectPostgres(postgres.url), connectPostgres(postgres.url)] as const
  t.teardown(() => Promise.all(databases.map((db) => db.destroy())))
  const [db] = databases
  const registry = createMemoryRegistry()
  const processes = databases.map((own) => {
    const ports = { registry, ...repositoriesOf(own) }
    const { quotas, withinQuota } = createQuotas(own)
    return { db: own, ports, quotas, push: withinQuota(createPush(ports)) }
  })
  return { db, registry, processes }
}

t.test(
  'counts are exact after random pushes, failures, deletions and recounts at the same time',
  async (t) => {
    const started = await startTwo(t)
    if (started === undefined) return
    const { db, registry, processes } = started
    const seed = Date.now() % 1_000_000
    t.comment(`seed ${seed}`)
    for (const { quotas } of processes) {
      await quotas.setQuota('red', { ...NO_QUOTA, bytes: BYTES, softBytes: BYTES / 2 })
      await quotas.setQuota('blue', { ...NO_QUOTA, bytes: BYTES, repositories: 1 })
    }
    const done: Record<string, number> = {}
    const client = async (number: number) => {
      const random = randomFrom(seed + number)
      const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
      const { ports, quotas, push, db: own } = processes[number % processes.length]!
      const note = (what: string) => (done[what] = (done[what] ?? 0) + 1)
      const steps: Record<string, (repository: string) => Promise<unknown>> = {
        async push(repository) {
          const layers = LAYERS.filter(() => random() < 0.5).map(
            (name) => [name, pick([100, 1000, 3000])] as const,
          )
          const raw = imageOf(pick(['a', 'b', 'c', 'd']), ...layers)
          const announced = await push.announce({
            repository,
            reference: { tag: pick(['x', 'y']) },
            type: MANIFEST,
            raw,
          })
          if (announced.outcome !== 'announced') return note(announced.outcome)
          for (const [name] of layers) registry.blobs.add(layerDigest(name))
          if (random() < 0.2) return push.discard(announced.id)
          registry.push(raw, MANIFEST, undefined, repository)
          return push.record(announced.id)
        },
        async 'delete a manifest'(repository) {
          const found = await ports.repositories.findRepository(repository)
          const manifests = found && (await ports.removedContents.listManifests(found.id, PAGE))
          if (manifests === undefined || manifests.length === 0) return undefined
          const { digest, revision } = pick(manifests)
          return ports.manifests.removeManifest(repository, digest, revision, {
            keepsRepository: random() < 0.5,
          })
        },
        async 'delete a repository'(repository) {
          const begun = await ports.deletions.beginDeletion(repository)
          if (begun === undefined || !('id' in begun)) return undefined
          const manifests = await ports.removedContents.listManifests(begun.id, PAGE)
          await ports.removedContents.removeManifests({ id: begun.id, name: repository }, manifests)
          return ports.repositories.removeRepository(repository)
        },
        'adopt a manifest'(repository) {
          const raw = imageOf('adopted', [pick(LAYERS), 200])
          registry.push(raw, MANIFEST, undefined, repository)
          return ports.manifests.putManifest(repository, parsed(raw))
        },
        'remove leftovers': () => ports.pendingPushes.removeLeftovers(),
        async recount() {
          await quotas.requestRecount(pick(['red', 'blue']))
          const counts = createUsageCountsRepository(own)
          const uncounted = await counts.findUncounted(10)
          if (uncounted === undefined) return
          const at = Math.floor(random() * 16).toString(16)
          await counts.countBelow(uncounted, `sha256:${at}` > uncounted.countedBelow ? `sha256:${at}` : null)
        },
      }
      const names = Object.keys(steps)
      for (let step = 0; step < STEPS; step += 1) {
        const name = random() < 0.6 ? 'push' : pick(names)
        note(name)
        await steps[name]?.(pick(REPOSITORIES))
        if (step % 20 === 0) await sleep(1)
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)))
    const usageCounts = createUsageCountsRepository(db)
    const expected = await recompute(db)
    t.same(await readCounts(db), expected, `the counts are those of the index, with seed ${seed}`)
    await countUsage({ usageCounts }, new AbortController().signal)
    t.same(await readCounts(db), expected, 'a recount finds the same')
    t.ok((done['refused'] ?? 0) > 0, JSON.stringify(done))
    t.comment(JSON.stringify(done))
  },
)

t.test('of many pushes at the same time exactly those pass for which there is room', async (t) => {
  const started = await startTwo(t)
  if (started === undefined) return
  const { db, processes } = started
  const images = Array.from({ length: 24 }, (_, at) => imageOf(String(at).padStart(2, '0'), ['base', 1000]))
  const [length = 0] = images.map((raw) => raw.length)
  for (const room of [0, 1, 7]) {
    const namespace = `room-${room}`
    await processes[0]?.quotas.setQuota(namespace, {
      ...NO_QUOTA,
      bytes: room === 0 ? 0 : 1000 + room * length,
    })
    const announce = (raw: Buffer, at: number) =>
      processes[at % 2]?.push.announce({
        repository: `${namespace}/app-${at % 3}`,
        reference: { tag: 'x' },
        type: MANIFEST,
        raw,
      })
    const outcomes = await Promise.all(images.map(announce))
    t.equal(outcomes.filter((one) => one?.outcome === 'announced').length, room)
    t.equal(outcomes.filter((one) => one?.outcome === 'refused').length, images.length - room)
  }
  t.same(await readCounts(db), await recompute(db))
})
