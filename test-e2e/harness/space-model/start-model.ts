import { isDeepStrictEqual } from 'node:util'
import { until } from '@registry-manager/testing/until'
import type { Test } from 'tap'
import { createRegistryClient } from '../registry-client.ts'
import type { System } from '../system.ts'
import { basic, startStack } from '../system.ts'
import { COMMON, createActor } from './actor.ts'
import { createDeletions } from './deletions.ts'
import {
  checkContents,
  checkDryRun,
  checkRetention,
  checkTrashIsComplete,
  checkUnreadable,
  listReachable,
  purgeAll,
} from './final-checks.ts'
import { createKiller } from './killer.ts'
import { createPatientClient } from './patient-client.ts'
import { createRandom } from '@registry-manager/testing/random'
import { createRestores } from './restores.ts'
import { createRetention } from './retention.ts'
import { ageAbandonedUploads, listStored } from './storage.ts'

/** A minute: long enough for restores, short enough that entries of longer runs expire. */
const TRASH_DAYS = 0.0007
const CLIENTS = 3
const NAMESPACES = Array.from({ length: CLIENTS }, (_, at) => `space${at}`)
const SOURCES = [
  COMMON,
  ...NAMESPACES.flatMap((namespace) => ['one', 'two', 'kept'].map((name) => `${namespace}/${name}`)),
]
/** Another process works on what is named here. */
const UNFINISHED = /is being (deleted|restored)/

export type Model = Awaited<ReturnType<typeof startModel>>
export type ModelClient = Model['clients'][number]
export type Step = () => Promise<void>

/** A stack of two replicas that collects at once, and several clients with their models. */
export async function startModel(t: Test, seed: number) {
  const { SPACE_DATA_DIR: dataDir } = process.env
  const env = {
    GC_INTERVAL_SECONDS: '1',
    GC_GRACE_SECONDS: '1',
    RETENTION_INTERVAL_SECONDS: '2',
    TRASH_DAYS: String(TRASH_DAYS),
  }
  const system = await startStack(t, { env, ...(dataDir !== undefined && { dataDir }) })
  const killer = createKiller(system)
  const clients = await Promise.all(
    NAMESPACES.map(async (namespace, at) => {
      const user = await system.createUser(`user${at}`, ['common', ...NAMESPACES], 'administrator')
      const client = createPatientClient(createRegistryClient(system.url, basic(user)), UNFINISHED)
      const random = createRandom(seed + at)
      const actor = createActor({ client, namespace, random, sources: SOURCES, kills: killer.kills })
      const retention = createRetention(actor)
      await retention.saveRules()
      return { actor, retention, deletions: createDeletions(actor), restores: createRestores(actor) }
    }),
  )
  return { system, killer, clients }
}

/**
 * Checks the end, when no process is killed any more: each client has every byte of its content, what was deleted is
 * unreadable, and after the trash is purged the storage has exactly what is reachable.
 */
export async function checkEnd(t: Test, { system, clients }: Model): Promise<void> {
  await checkTrashIsComplete(clients, system, TRASH_DAYS)
  await checkContents(clients)
  for (const client of clients) await checkRetention(client)
  for (const client of clients) await checkDryRun(client)
  await checkContents(clients)
  await checkUnreadable(clients)
  await checkStorage(system, clients)
  await checkContents(clients)
  t.pass('everything is there, and exactly the reachable data is stored')
}

async function checkStorage(system: System, clients: Model['clients']): Promise<void> {
  const reachable = await listReachable(clients)
  const isExact = async () => {
    await purgeAll(clients, system)
    await ageAbandonedUploads(system)
    return isDeepStrictEqual(sorted(listStored(system)), sorted(reachable))
  }
  // A claim of a killed storage worker ends after 90 seconds.
  await until(isExact, 'exactly the reachable data is stored', 600).catch((cause: unknown) => {
    const stored = listStored(system)
    const extra = [...stored.keys()].filter((digest) => !reachable.has(digest))
    const lost = [...reachable.keys()].filter((digest) => !stored.has(digest))
    throw new Error(`only stored: ${extra.join(' ')}; only reachable: ${lost.join(' ')}`, { cause })
  })
}

const sorted = (sizes: ReadonlyMap<string, number>) =>
  [...sizes].toSorted(([one], [other]) => (one < other ? -1 : 1))
