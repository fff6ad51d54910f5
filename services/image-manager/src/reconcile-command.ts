/**
 * `npm run reconcile`: brings the index to the registry's state, and finishes interrupted pushes and deletions. Reads
 * the environment of main.ts. Exits with 0 when the run is finished, otherwise with 1.
 */
import { parseArgs } from 'node:util'
import { SERVING, connectPostgres } from '@registry-manager/database'
import { createServiceClient, explainError, explainStartFailure } from '@registry-manager/http'
import { createAuthClient } from '@registry-manager/principal'
import { createRegistryClient } from '@registry-manager/registry-client'
import { readConfig } from './config.ts'
import { describeCounts } from './reconcile/counts.ts'
import { createDatabaseReconciler } from './reconcile/index.ts'
import type { ReconcileListener } from './reconcile/run.ts'
import { LEASE_SECONDS } from './reconcile/run.ts'

/** Interval of printing the progress, in milliseconds. */
const PROGRESS_MS = 10_000
/** Connections to the database, besides one for the lease of the run. */
const MAX_CONNECTIONS = 9

const print = (line: string) => process.stdout.write(`${line}\n`)
const printError = (line: string) => process.stderr.write(`${line}\n`)
const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort())

/** Returns whether a run was finished. */
async function reconcile(): Promise<boolean> {
  const { values } = parseArgs({ options: { 'believe-empty': { type: 'boolean', default: false } } })
  const [config, { databaseUrl }] = readConfig(process.env)
  const { registryUrl, authServiceUrl, serviceCredential, reconcileConcurrency: concurrency } = config
  const authService = createServiceClient({
    dependency: 'auth-service',
    url: authServiceUrl,
    credential: serviceCredential,
  })
  const { serviceToken } = createAuthClient(authService, 'image-manager', Date.now)
  const db = connectPostgres(databaseUrl, SERVING, Math.min(concurrency, MAX_CONNECTIONS) + 1)
  const reconciler = createDatabaseReconciler({
    db,
    createRegistry: (signal, repositories) =>
      createRegistryClient({ registryUrl, serviceToken, signal, repositories }),
    concurrency,
    listener: createPrinter(),
    principal: { kind: 'command', id: null, name: 'reconcile' },
  })
  try {
    const finished = await reconciler.run({
      signal: stopping.signal,
      retriesAll: true,
      believeEmpty: values['believe-empty'],
    })
    if (finished === undefined) {
      printError(
        'another process is running reconcile; try again when it has finished. ' +
          `If it was killed, its lease expires within ${LEASE_SECONDS} seconds`,
      )
      return false
    }
    print(`done: ${describeCounts(finished.counts)}`)
    return true
  } catch (error) {
    if (stopping.signal.aborted) print('stopped; the next run resumes from the saved position')
    else printError(`${explainError(error)}\ninterrupted; the next run resumes from the saved position`)
    return false
  } finally {
    await db.destroy()
  }
}

function createPrinter(): ReconcileListener {
  let printedAt = Date.now()
  return {
    taken({ startedAt, counts }) {
      const isNew = counts.registryRequests === 0
      print(isNew ? 'started' : `resumed the run of ${startedAt.toISOString()}: ${describeCounts(counts)}`)
    },
    progress(counts) {
      if (Date.now() - printedAt < PROGRESS_MS) return
      printedAt = Date.now()
      print(describeCounts(counts))
    },
    failed({ repository, reference, error, tries }) {
      print(`failed: ${repository} ${reference}: ${explainError(error)} (attempt ${tries})`)
    },
  }
}

reconcile().then(
  (isFinished) => process.exit(isFinished ? 0 : 1),
  (error: unknown) => {
    printError(explainStartFailure(error))
    process.exit(1)
  },
)
