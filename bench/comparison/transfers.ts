import { load } from '../clients.ts'
import type { Case, Outcome } from './case.ts'
import type { Blob, Content } from './content.ts'
import {
  LARGE_BYTES,
  MEDIUM_BLOBS,
  MEDIUM_BYTES,
  flushDisk,
  pushBlob,
  pushBlobs,
  removeBytes,
} from './content.ts'
import type { Side } from './side.ts'
import { REPOSITORY } from './side.ts'
import { runWrk } from './wrk.ts'

const SCOPE = `repository:${REPOSITORY}:pull`
const ROUNDS = 5
const [RANGE_BYTES, RANGES, RANGE_CONNECTIONS, RANGE_SECONDS] = [64 * 1024, 1021, 32, 2]
/** A case repeats its pulls for so many seconds. A pull that has begun is finished. */
const [LARGE_SECONDS, MEDIUM_SECONDS] = [1, 2]

/**
 * The cases of large blobs. A first pull is that of a blob which was pushed a moment before and never pulled. The page
 * cache has all blobs. `folder` is for files of the clients.
 */
export function transferCases({ large, medium }: Content, folder: string): readonly Case[] {
  const isRegistry = (side: Side) => side.isRegistry
  const shared = { unit: 'bytes', rounds: ROUNDS } as const
  const repeated = (blobs: readonly Blob[], seconds: number) => ({
    ...shared,
    isFor: () => true,
    warmUp: async (side: Side) => void (await pull(side, blobs)),
    run: (side: Side) => pull(side, blobs, seconds),
  })
  const first = (push: (sides: readonly Side[]) => Promise<readonly Blob[]>) => {
    let blobs: readonly Blob[] = []
    return {
      ...shared,
      isFor: isRegistry,
      async prepare(sides: readonly Side[]) {
        blobs = await push(sides)
        await flushDisk(folder)
        const digests = blobs.map(({ digest }) => digest)
        return async () => {
          await removeBytes(sides, digests)
          await flushDisk(folder)
        }
      },
      run: (side: Side) => pull(side, blobs),
    }
  }
  return [
    {
      name: 'one 1 GiB blob, one client, repeated pull',
      goals: { volume: 1, cache: 1 },
      ...repeated([large], LARGE_SECONDS),
    },
    {
      name: 'one 1 GiB blob, one client, first pull',
      goals: { volume: 1, cache: 0.7 },
      ...first(async (sides) => [await pushBlob(sides, LARGE_BYTES)]),
    },
    {
      name: '8 × 50 MiB in parallel, repeated pull',
      goals: { volume: 1.3, cache: 1.3 },
      ...repeated(medium, MEDIUM_SECONDS),
    },
    {
      name: '8 × 50 MiB in parallel, first pull',
      goals: { volume: 1.2, cache: 0.7 },
      ...first((sides) => pushBlobs(sides, MEDIUM_BLOBS, MEDIUM_BYTES)),
    },
    {
      name: `ranges of 64 KiB out of a 1 GiB blob, ${RANGE_CONNECTIONS} connections`,
      goals: { volume: 10, cache: 3 },
      unit: 'requests',
      rounds: ROUNDS,
      isFor: () => true,
      warmUp: async (side) => {
        await checkRange(side, large)
        await pullRanges(side, large, folder, 1)
      },
      run: (side) => pullRanges(side, large, folder, RANGE_SECONDS),
    },
  ]
}

/** Pulls blobs in parallel, each on its own connection: once, or again and again for some seconds. */
async function pull(side: Side, blobs: readonly Blob[], repeatFor?: number): Promise<Outcome> {
  const [authorization = ''] = await side.authorizations(SCOPE, 1)
  const lanes = blobs.map(({ digest }) => [
    { path: side.pathOf('blobs', digest), headers: { authorization } },
  ])
  const { bytes, seconds, errors, firstError } = await load({
    origin: side.origin,
    lanes,
    seconds: repeatFor,
  })
  return { rate: bytes / seconds, failed: errors, fault: firstError }
}

async function pullRanges(side: Side, blob: Blob, folder: string, seconds: number): Promise<Outcome> {
  const requests = await rangeRequests(side, blob)
  const job = { origin: side.origin, requests, connections: RANGE_CONNECTIONS, folder }
  return runWrk({ ...job, bodyBytes: RANGE_BYTES, seconds })
}

/** Ranges all over a blob. Their number is prime, so that the connections do not read the same ranges in step. */
async function rangeRequests(side: Side, { digest, size }: Blob) {
  const [authorization = ''] = await side.authorizations(SCOPE, 1)
  const path = side.pathOf('blobs', digest)
  return Array.from({ length: RANGES }, (_, range) => {
    const begin = ((range * 7919) % (size / RANGE_BYTES)) * RANGE_BYTES
    return { path, headers: { authorization, range: `bytes=${begin}-${begin + RANGE_BYTES - 1}` } }
  })
}

/** Throws if a side does not respond with the requested range. */
async function checkRange(side: Side, blob: Blob): Promise<void> {
  const [request] = await rangeRequests(side, blob)
  const response = await fetch(side.origin + request?.path, { headers: request?.headers })
  const { length } = await response.bytes()
  if (response.status !== 206 || length !== RANGE_BYTES)
    throw new Error(`${side.name}: a range: status ${response.status} with ${length} bytes`)
}
