import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { ResultCodeError } from 'ldapts'
import type { DirectoryConfig } from '../config.ts'
import type { Directory } from '../directory.ts'
import { createDirectoryAuthenticator } from './authenticator.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import { createDirectoryPool } from './pool.ts'
import { createDirectorySearch } from './search.ts'
import type { DirectoryLog, Prepare } from './servers.ts'
import { createDirectoryServers } from './servers.ts'
import { createSharedLookup } from './socket.ts'

export interface ConnectedDirectory {
  readonly directory: Directory
  /** Why no server is asked at present; undefined while one is. */
  failure(): string | undefined
  /** Finds out now, and not at the first sign-in, whether the directory answers; then looks after its servers. */
  start(): void
  stop(): void
}

export interface ConnectDirectoryDeps {
  readonly metrics: DirectoryMetrics
  readonly log: DirectoryLog
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const TRIAL_EVERY_MS = 500
const MAX_GREETINGS = 3

/** The directory, by what the settings say. Nothing is connected to before it is needed, or `start`ed. */
export function connectDirectory(config: DirectoryConfig, deps: ConnectDirectoryDeps): ConnectedDirectory {
  const { metrics, log } = deps
  const { service, startTls, ca, bindTemplate } = config
  const transport = { startTls, ca, lookup: createSharedLookup(lookup as LookupFunction) }
  const servers = createDirectoryServers({ ...deps, servers: config.servers, transport })
  const search = createDirectorySearch({ ...config, ...deps })
  const bindService: Prepare = async (client) => {
    if (service === undefined) return
    await client.bind(service.dn, service.password).catch((error: unknown) => {
      metrics.operation('service_bind', error instanceof ResultCodeError ? 'refused' : 'failed')
      throw error
    })
    metrics.operation('service_bind', 'ok')
    await search.learnKind(client)
  }
  const servicePool = createDirectoryPool(servers, bindService)
  const userPool = createDirectoryPool(servers, async () => {})
  const directory = createDirectoryAuthenticator({
    service: service === undefined ? undefined : servicePool,
    users: userPool,
    search,
    bindTemplate,
    log,
    metrics,
  })
  const mainPool = service === undefined ? userPool : servicePool
  const greet = async () => {
    for (let attempt = 0; attempt < MAX_GREETINGS && !(await mainPool.greet()); attempt += 1);
  }
  const tryAgain = async () => {
    for (const connection of await servers.tryAgain(bindService)) mainPool.add(connection)
  }
  let trials: NodeJS.Timeout | undefined
  return {
    directory,
    failure: servers.failure,
    start: () => {
      if (!startTls && config.servers.some(({ tls }) => !tls)) {
        log('warn', {}, 'passwords travel readable to the directory: DIRECTORY_ALLOW_PLAINTEXT is set')
      }
      void greet()
      trials = setInterval(() => void tryAgain(), TRIAL_EVERY_MS)
    },
    stop: () => {
      clearInterval(trials)
      servicePool.close()
      userPool.close()
    },
  }
}
