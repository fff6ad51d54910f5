import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { ResultCodeError } from 'ldapts'
import type { DirectoryConfig } from '../config.ts'
import type { Directory, DirectoryLog } from '../directory.ts'
import { createLdapDirectory } from './ldap-directory.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import { createDirectoryPool } from './pool.ts'
import { createDirectorySearch } from './search.ts'
import type { Prepare } from './servers.ts'
import { createDirectoryServers } from './servers.ts'
import { createSharedLookup } from './socket.ts'

export interface ConnectedDirectory {
  readonly directory: Directory
  /** The reason why no server is in use; undefined while one is. */
  failure(): string | undefined
  /** Connects before the first sign-in, and starts trials of failed servers. */
  start(): void
  stop(): void
}

export interface ConnectDirectoryDeps {
  readonly metrics: DirectoryMetrics
  readonly log: DirectoryLog
  /** The names of the groups that searches look for. */
  readonly mappedGroups: () => Promise<ReadonlySet<string>>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const TRIAL_EVERY_MS = 500
const MAX_WARM_UPS = 3

/** Builds the directory client of the settings. Nothing connects before the first request or `start`. */
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
    await search.detectKind(client)
  }
  const servicePool = createDirectoryPool(servers, bindService)
  const userPool = createDirectoryPool(servers, async () => {})
  const directory = createLdapDirectory({
    service: service === undefined ? undefined : servicePool,
    users: userPool,
    search,
    bindTemplate,
    log,
    metrics,
  })
  const mainPool = service === undefined ? userPool : servicePool
  const warmUp = async () => {
    for (let attempt = 0; attempt < MAX_WARM_UPS && !(await mainPool.warmUp()); attempt += 1);
  }
  const makeTrials = async () => {
    for (const connection of await servers.makeTrials(bindService)) mainPool.add(connection)
  }
  let trials: NodeJS.Timeout | undefined
  return {
    directory,
    failure: servers.failure,
    start: () => {
      if (!startTls && config.servers.some(({ tls }) => !tls)) {
        log('warn', {}, 'passwords are sent to the directory unencrypted: DIRECTORY_ALLOW_PLAINTEXT is set')
      }
      void warmUp()
      trials = setInterval(() => void makeTrials(), TRIAL_EVERY_MS)
    },
    stop: () => {
      clearInterval(trials)
      servicePool.close()
      userPool.close()
    },
  }
}
