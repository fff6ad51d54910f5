/**
 * The command that brings the index to what the registry has: adopts what came past us, takes away what is gone,
 * settles what broke off. Reads the environment that main.ts reads. Exit code 0 when it is done, else 1.
 */
import { parseArgs } from 'node:util'
import { SERVING, connectPostgres } from '@registry-manager/database'
import { createAuthClient } from '@registry-manager/principal'
import { createServiceClient, explainStartFailure } from '@registry-manager/http'
import { LEASE_SECONDS } from './reconcile/reconcile-runs.ts'
import { createRegistryClient } from '@registry-manager/registry-client'
import { readConfig } from './config.ts'
import { describeCounts } from './reconcile/counts.ts'
import { createReconciler } from './reconcile/reconciler.ts'

/** How often it tells how far it is, in milliseconds. */
const TELL_MS = 10_000

const say = (line: string) => process.stdout.write(`${line}\n`)
const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort())

async function run(): Promise<boolean> {
  const { values } = parseArgs({ options: { 'believe-empty': { type: 'boolean', default: false } } })
  const [config, { databaseUrl }] = readConfig(process.env)
  const { registryUrl, authServiceUrl, serviceCredential } = config
  const authService = createServiceClient({
    dependency: 'auth-service',
    url: authServiceUrl,
    credential: serviceCredential,
  })
  const { serviceToken } = createAuthClient(authService, 'image-manager', Date.now)
  const db = connectPostgres(databaseUrl, SERVING, 2)
  let toldAt = Date.now()
  const reconciler = createReconciler({
    db,
    createRegistry: (signal) => createRegistryClient({ registryUrl, serviceToken, signal }),
    listener: {
      taken({ startedAt, counts }) {
        const isNew = counts.registryRequests === 0
        say(
          isNew ? 'begins' : `goes on with the run of ${startedAt.toISOString()}: ${describeCounts(counts)}`,
        )
      },
      progress(counts) {
        if (Date.now() - toldAt < TELL_MS) return
        toldAt = Date.now()
        say(describeCounts(counts))
      },
      failed: ({ repository, reference, error, tries }) =>
        say(`failed: ${repository} ${reference}: ${(error as Error).message} (try ${tries})`),
    },
  })
  try {
    const done = await reconciler.run({
      signal: stopping.signal,
      retriesAll: true,
      believeEmpty: values['believe-empty'],
    })
    if (done === undefined) {
      const hint = `one that was killed is free ${LEASE_SECONDS} seconds later`
      process.stderr.write(`another process is at it already (${hint})\n`)
      return false
    }
    say(`done: ${describeCounts(done.counts)}`)
    return true
  } catch (error) {
    if (stopping.signal.aborted) say('stopped: the next run goes on there')
    else process.stderr.write(`${explain(error)}\nbroke off: the next run goes on there\n`)
    return false
  } finally {
    await db.destroy()
  }
}

/** A refused connection to a host of several addresses has no message of its own. */
function explain(error: unknown): string {
  const { message, code } = error as Error & { code?: string }
  return message || (code ?? 'it is not known why')
}

run().then(
  (done) => process.exit(done ? 0 : 1),
  (error: unknown) => {
    process.stderr.write(`${explainStartFailure(error)}\n`)
    process.exit(1)
  },
)
