import { ServiceCallError } from '@registry-manager/http'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import type { PullBatch } from '../src/count-pulls.ts'
import { MAX_BATCH, MAX_WAITING, createPullCounter } from '../src/count-pulls.ts'
import { DIGEST, OTHER_DIGEST } from './fixtures/requests.ts'

const REPOSITORY = 'team/app'
const byDigest = { repository: REPOSITORY, digest: DIGEST, tag: undefined }
const byTag = { ...byDigest, tag: 'v1' }

/** A counter whose batches the test sees, and which fail with an error if there is one. */
function startCounter(everyMs = 60_000) {
  const world = { now: 1_000_000, error: undefined as Error | undefined }
  const batches: PullBatch[] = []
  const warnings: string[] = []
  const counter = createPullCounter({
    async send(batch) {
      batches.push(batch)
      if (world.error !== undefined) throw world.error
    },
    now: () => world.now,
    log: { warn: (...entry: unknown[]) => void warnings.push(String(entry.at(-1))) },
    everyMs,
  })
  return { ...counter, world, batches, warnings }
}

t.test('pulls are counted by repository, tag and digest, with the time of the last one', async (t) => {
  const { count, stop, world, batches } = startCounter()
  count(byTag)
  count(byDigest)
  world.now += 5000
  count(byTag)
  count({ ...byTag, digest: OTHER_DIGEST })
  count({ ...byTag, repository: 'team/other' })
  await stop()
  const first = new Date(1_000_000)
  const last = new Date(1_005_000)
  t.equal(batches.length, 1)
  t.strictSame(batches[0]?.pulls, [
    { ...byTag, count: 2, lastAt: last },
    { ...byDigest, count: 1, lastAt: first },
    { ...byTag, digest: OTHER_DIGEST, count: 1, lastAt: last },
    { ...byTag, repository: 'team/other', count: 1, lastAt: last },
  ])
  await stop()
  t.equal(batches.length, 1, 'pulls that were sent are not sent again')
})

t.test(
  'a failed batch is sent again with its id, and later pulls are in a batch with another id',
  async (t) => {
    const { count, start, stop, world, batches, warnings } = startCounter(10)
    world.error = new ServiceCallError('no response', { dependency: 'image-manager' })
    count(byTag)
    start()
    t.teardown(stop)
    await until(async () => batches.length >= 3)
    t.equal(new Set(batches.map(({ id }) => id)).size, 1)
    t.equal(warnings.length, 1, 'one warning for all tries')
    count(byTag)
    world.error = undefined
    const tries = batches.length
    await until(async () => batches.length >= tries + 2)
    t.match(batches.at(-1)?.pulls, [{ ...byTag, count: 1 }])
    t.equal(new Set(batches.map(({ id }) => id)).size, 2)
  },
)

t.test('a batch that image-manager refuses is not sent again', async (t) => {
  const { count, start, stop, world, batches, warnings } = startCounter(10)
  t.teardown(stop)
  world.error = new ServiceCallError('400', { dependency: 'image-manager', status: 400 })
  count(byTag)
  start()
  await until(async () => warnings.length === 1)
  count(byDigest)
  await until(async () => batches.length === 2)
  t.match(batches[1]?.pulls, [{ digest: DIGEST, count: 1 }])
})

t.test(
  'memory is bounded: pulls of further manifests are not counted, those of waiting ones are',
  async (t) => {
    const { count, stop, batches, warnings } = startCounter()
    for (let at = 0; at < MAX_WAITING + 3; at += 1) count({ ...byTag, tag: `t${at}` })
    count({ ...byTag, tag: 't0' })
    await stop()
    t.equal(batches.length, MAX_WAITING / MAX_BATCH)
    t.ok(batches.every(({ pulls }) => pulls.length === MAX_BATCH))
    t.equal(batches.flatMap(({ pulls }) => pulls).find(({ tag }) => tag === 't0')?.count, 2)
    t.match(warnings, [/some pulls are not counted/])
  },
)
