import { ServiceCallError } from '@registry-manager/http'
import t from 'tap'
import { SYSTEM_CLOCKS } from '../../src/collect/claim-time.ts'
import type { Claim } from '../../src/collect/remove-claimed.ts'
import { BLOBS_PER_SECOND, createRemoveClaimed } from '../../src/collect/remove-claimed.ts'
import type { Removal, RemovalTime } from '../../src/storage/storage.ts'

const DIGESTS = ['1', '2', '3'].map((digit) => `sha256:${digit.repeat(64)}`)
const [FIRST = '', SECOND = '', THIRD = ''] = DIGESTS
const OUTCOME: Removal = {
  removed: [{ digest: FIRST, bytes: 5 }],
  failed: [{ digest: SECOND, reason: 'x'.repeat(600) }],
  unknown: [{ digest: THIRD, reason: 'no answer' }],
}

function create({ seconds = 60, reports = [] as (Error | 'accepted' | 'refused')[] } = {}) {
  const claims: (Claim | undefined)[] = [{ id: 'one', digests: DIGESTS, seconds }, undefined]
  const reported: { readonly id: string; readonly results: Pick<Removal, 'removed' | 'failed'> }[] = []
  const warnings: string[] = []
  const times: RemovalTime[] = []
  const work = createRemoveClaimed({
    claims: {
      claim: async () => claims.shift(),
      async report(id, results) {
        reported.push({ id, results })
        const next = reports.shift() ?? 'accepted'
        if (next instanceof Error) throw next
        return next
      },
    },
    storage: {
      batch: 1000,
      async removeBlobs(_digests, time) {
        times.push(time)
        return OUTCOME
      },
    },
    clocks: SYSTEM_CLOCKS,
    log: { info() {}, warn: (_fields, text) => warnings.push(text) },
    onRemoval() {},
  })
  return { work, claims, reported, warnings, times }
}

const away = () => new ServiceCallError('no response', { dependency: 'image-manager' })

t.test('the worker claims data until nothing is left, and reports only certain results', async (t) => {
  const { work, claims, reported, warnings } = create()
  await work(new AbortController().signal)
  t.same(claims, [])
  t.match(reported, [{ id: 'one', results: { removed: OUTCOME.removed, failed: [{ digest: SECOND }] } }])
  t.equal(reported[0]?.results.failed[0]?.reason.length, 500)
  t.notMatch(JSON.stringify(reported), THIRD, 'a digest with an unknown outcome is in no list')
  t.same(warnings, [
    'the data of some digests could not be removed',
    'the outcome of some removals is unknown; their digests will be claimed again',
  ])
})

t.test('results are sent again until image-manager accepts them', async (t) => {
  const { work, reported } = create({ reports: [away()] })
  await work(new AbortController().signal)
  t.equal(reported.length, 2)
})

t.test('results are given up when the claim has ended', async (t) => {
  const { work, reported, warnings } = create({ seconds: 0, reports: [away(), away()] })
  await work(new AbortController().signal)
  t.equal(reported.length, 1)
  t.ok(warnings.includes('the results of a claim could not be reported'))
})

t.test('refused results are not sent again', async (t) => {
  const { work, reported, warnings } = create({ reports: ['refused'] })
  await work(new AbortController().signal)
  t.equal(reported.length, 1)
  t.ok(warnings.includes('image-manager refused the results of a claim'))
})

t.test('the time of a claim is passed on, and a worker that stops claims nothing more', async (t) => {
  const { work, claims, times } = create({ seconds: 0 })
  await work(new AbortController().signal)
  t.equal(times[0]?.isOver(), true)
  const other = create()
  await other.work(AbortSignal.abort())
  t.equal(other.claims.length, 2)
  t.same(claims, [])
})

/** A worker that removes claims of these sizes in batches of ten. Returns when each batch and each claim began. */
async function removeInBatches(
  sizes: readonly number[],
  blobsPerSecond: number | null | undefined,
  stopping: AbortSignal,
) {
  const began = performance.now()
  const at = { claims: [] as number[], batches: [] as number[] }
  const removed: string[] = []
  const digests = (size: number) =>
    Array.from({ length: size }, (_, digit) => `sha256:${`${(digit * 7) % size}`.padStart(64, '0')}`)
  const claims: (Claim | undefined)[] = sizes.map((size, id) => ({
    id: `${id}`,
    digests: digests(size),
    seconds: 60,
    blobsPerSecond,
  }))
  await createRemoveClaimed({
    claims: {
      async claim() {
        at.claims.push(performance.now() - began)
        return claims.shift()
      },
      report: async () => 'accepted',
    },
    storage: {
      batch: 10,
      async removeBlobs(batch) {
        at.batches.push(performance.now() - began)
        removed.push(...batch)
        return { removed: batch.map((digest) => ({ digest, bytes: 1 })), failed: [], unknown: [] }
      },
    },
    clocks: SYSTEM_CLOCKS,
    log: { info() {}, warn() {} },
    onRemoval() {},
  })(stopping)
  return { ...at, removed }
}

t.test(
  'blobs are removed in batches, no faster than the rate, and the next claim comes when it is due',
  async (t) => {
    const { claims, batches, removed } = await removeInBatches([25, 5], 100, new AbortController().signal)
    t.equal(removed.length, 30)
    t.same(
      removed.slice(0, 25),
      removed.slice(0, 25).toSorted(),
      'digests with a common prefix come together',
    )
    const due = (times: readonly number[], expected: readonly number[]) =>
      t.ok(
        times.length === expected.length && times.every((time, at) => time >= (expected[at] ?? 0) - 2),
        `${times.map(Math.round).join()} ms, expected from ${expected.join()}`,
      )
    due(batches, [0, 100, 200, 250])
    due(claims, [0, 250, 300])
  },
)

t.test('without a rate limit, the worker keeps its own pace', async (t) => {
  for (const rate of [null, undefined]) {
    const { claims } = await removeInBatches([100], rate, new AbortController().signal)
    t.ok((claims[1] ?? 0) >= (100 / BLOBS_PER_SECOND) * 1000 - 2, `${claims.join()} ms`)
  }
})

t.test('a worker that stops removes the rest of its claim without pauses', async (t) => {
  const stopping = AbortSignal.timeout(50)
  const { claims, removed } = await removeInBatches([30, 30], 1, stopping)
  t.equal(removed.length, 30)
  t.equal(claims.length, 1, 'it claims nothing more')
})
