import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '../packages/database/src/connect.ts'
import { connectPostgres } from '../packages/database/src/connect.ts'
import { cpuSeconds } from './cpu-time.ts'
import { pushImages } from './push-images.ts'
import { pushBlobs } from './push.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatPerSecond, formatRatio, median, p99, toGoal } from './table.ts'

const REPOSITORY = 'bench/removal'
const [CONNECTIONS, ROUNDS, BLOBS, SECONDS] = [4, 12, 4000, 3]
const [BLOB_BYTES, POLL_MS, DEADLINE_MS] = [1000, 200, 60_000]

/** The pushes of a window of time, and the blobs that were removed in it. */
interface Window {
  readonly seconds: number
  readonly milliseconds: readonly number[]
  readonly removed: number
  readonly workerSeconds: number
}

/**
 * Measures pushes of images with a new config blob, alternately while there is nothing to remove and while the storage
 * worker removes blobs from the file system, with the settings that are shipped. A round with removals is compared with
 * the mean of the rounds before and after it.
 */
export async function measureRemoval(): Promise<Table> {
  const stack = await startStack()
  const pid = await stack.startStorageWorker()
  const db = connectPostgres(stack.databaseUrl)
  try {
    await beginCollection(db)
    const { layers } = await pushBlobs(stack, REPOSITORY)
    const measure = async (removes: boolean): Promise<Window> => {
      const authorization = await stack.bearer(REPOSITORY, 'pull,push')
      if (removes) await condemn(db, await storeBlobs(stack, BLOBS))
      const target = { origin: stack.proxyUrl, repository: REPOSITORY, authorization, layers }
      const pushing = pushImages(target, CONNECTIONS)
      try {
        if (removes) await until(async () => (await countBlobs(db)).removing > 0)
        const [begin, cpu] = [performance.now(), cpuSeconds(pid)]
        if (removes) await until(async () => (await countBlobs(db)).left === 0)
        else
          await until(
            async () => (await countBlobs(db)).left > 0 || performance.now() - begin > SECONDS * 1000,
          )
        const end = performance.now()
        return {
          seconds: (end - begin) / 1000,
          milliseconds: pushing.timesBetween(begin, end),
          removed: removes ? BLOBS : 0,
          workerSeconds: cpuSeconds(pid) - cpu,
        }
      } finally {
        await pushing.stop()
      }
    }
    await measure(false)
    await measure(true)
    const quiet = [await measure(false)]
    const removing: Window[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      removing.push(await measure(true))
      quiet.push(await measure(false))
    }
    return report(quiet, removing)
  } finally {
    await db.destroy()
  }
}

function report(quiet: readonly Window[], removing: readonly Window[]): Table {
  const rateOf = ({ milliseconds, seconds }: Window) => milliseconds.length / seconds
  const ratios = removing.map((window, at) => {
    const [before, after] = [quiet[at], quiet[at + 1]] as [Window, Window]
    return (2 * rateOf(window)) / (rateOf(before) + rateOf(after))
  })
  const ratio = median(ratios)
  const removed = median(removing.map(({ removed, seconds }) => removed / seconds))
  const cpu = median(removing.map(({ workerSeconds, removed }) => (workerSeconds / removed) * 1e6))
  const row = (what: string, windows: readonly Window[], ...others: string[]) => {
    const times = windows.flatMap(({ milliseconds }) => milliseconds)
    const rate = formatPerSecond(median(windows.map(rateOf)), 1)
    return [what, rate, `${median(times).toFixed(1)} ms`, `${p99(times).toFixed(1)} ms`, ...others]
  }
  const rates = { quiet: row('', quiet)[1], removing: row('', removing)[1] }
  const goal = {
    case: 'pushes while blobs are removed',
    values: `${rates.removing} pushes with removals, ${rates.quiet} without`,
  }
  const removals = {
    case: 'removal of blobs during pushes',
    values: `worker's CPU time: ${Math.round(cpu)} µs a blob`,
  }
  return {
    title: `removal: images with a new config blob on ${CONNECTIONS} connections, while the storage worker removes ${BLOBS} blobs from the file system, and while there is nothing to remove; no rate limit was set, ${ROUNDS} alternating rounds`,
    columns: ['', 'pushes', 'median', 'p99', 'ratio', 'blobs removed', "worker's CPU time of each"],
    rows: [
      row('nothing to remove', quiet, '', '', ''),
      row(
        'blobs are removed',
        removing,
        formatRatio(ratio),
        formatPerSecond(removed, 1),
        `${Math.round(cpu)} µs`,
      ),
    ],
    faults: [],
    goals: [
      toGoal(goal, { atLeast: 0.9 }, ratio, formatRatio),
      toGoal(removals, { atLeast: 1000 }, removed, (value) => formatPerSecond(value, 1)),
    ],
  }
}

/** Makes the collection ready, as a complete reconcile run does. The first review sets the database. */
async function beginCollection(db: Database): Promise<void> {
  await until(async () => {
    const query = db.updateTable('collection').set({ reconciled_at: new Date() })
    const { numUpdatedRows } = await query.where('database', 'is not', null).executeTakeFirstOrThrow()
    return numUpdatedRows > 0n
  })
}

/** Writes blobs into the storage of the registry. Returns their digests. */
async function storeBlobs({ images }: Stack, count: number): Promise<string[]> {
  const blobs = join(images, 'docker/registry/v2/blobs/sha256')
  const digests: string[] = []
  for (let at = 0; at < count; at += 1) {
    const hex = randomBytes(32).toString('hex')
    const folder = join(blobs, hex.slice(0, 2), hex)
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'data'), Buffer.alloc(BLOB_BYTES))
    digests.push(`sha256:${hex}`)
  }
  return digests
}

async function condemn(db: Database, digests: readonly string[]): Promise<void> {
  await db
    .insertInto('unreferenced_blobs')
    .values(({ fn }) =>
      digests.map((digest) => ({
        digest,
        since: new Date(),
        state: 'condemned',
        condemned_by: fn<string>('pg_current_xact_id', []),
      })),
    )
    .execute()
}

async function countBlobs(db: Database): Promise<{ left: number; removing: number }> {
  const { left, removing } = await db
    .selectFrom('unreferenced_blobs')
    .select(({ fn }) => [
      fn.countAll().as('left'),
      fn.countAll().filterWhere('state', '=', 'removing').as('removing'),
    ])
    .executeTakeFirstOrThrow()
  return { left: Number(left), removing: Number(removing) }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!(await isSo())) {
    if (performance.now() > deadline)
      throw new Error('the storage worker did not remove the blobs in a minute')
    await sleep(POLL_MS)
  }
}
