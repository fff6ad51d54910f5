import { setTimeout as sleep } from 'node:timers/promises'
import { connectDirectory } from '../../services/auth-service/src/directory/ldap/connect.ts'
import { readConfig } from '../../services/auth-service/src/config.ts'
import type { DirectoryConfig } from '../../services/auth-service/src/directory/config.ts'
import type { Directory } from '../../services/auth-service/src/directory/directory.ts'
import { DirectoryUnavailable } from '../../services/auth-service/src/directory/directory.ts'
import type { Teardown } from './server-process.ts'

export interface ConnectedForTest extends Pick<Directory, 'verify'> {
  readonly find: NonNullable<Directory['find']>
  /** The number of operations with this result, such as `search ok`. */
  count(operation: string): number
  /** The log lines. */
  readonly lines: readonly string[]
  start(): void
}

const OTHER_SETTINGS = {
  PUBLIC_URL: 'http://localhost:8500',
  DATABASE_URL: 'postgres://localhost/nowhere',
  IMAGE_MANAGER_URL: 'http://localhost:1',
  SIGNING_KEYS_DIR: '/nowhere',
  SERVICE_CREDENTIAL: 'x'.repeat(32),
}

/** Returns the directory's part of auth-service's configuration. */
export function configFor(settings: Readonly<Record<string, string>>): DirectoryConfig {
  const [{ directory }] = readConfig({ ...OTHER_SETTINGS, ...settings })
  if (directory === undefined) throw new Error('the settings have no directory')
  return directory
}

/** Connects to the directory as auth-service does, with the settings of its environment. */
export function connectForTest(
  scope: Teardown,
  settings: Readonly<Record<string, string>>,
): ConnectedForTest {
  const config = configFor(settings)
  const counts = new Map<string, number>()
  const add = (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1)
  const lines: string[] = []
  const { directory, start, stop } = connectDirectory(config, {
    mappedGroups: async () => new Set(config.groups?.keys()),
    metrics: { operation: (name, outcome) => add(`${name} ${outcome}`), signIn: add, refreshed: add },
    log: (level, details, message) => lines.push(`${level} ${message} ${JSON.stringify(details)}`),
    now: Date.now,
  })
  scope.teardown(stop)
  return {
    verify: directory.verify,
    find:
      directory.find ??
      (() => {
        throw new Error('the directory has no service account')
      }),
    count: (operation) => counts.get(operation) ?? 0,
    lines,
    start,
  }
}

/** Retries while the directory is unavailable, for tests with a working directory on a busy machine. */
export function withRetries({ find, verify, ...others }: ConnectedForTest): ConnectedForTest {
  const retry = async <Result>(query: () => Promise<Result>, left = 10): Promise<Result> => {
    try {
      return await query()
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable) || left === 0) throw error
      await sleep(1000)
      return retry(query, left - 1)
    }
  }
  return {
    ...others,
    find: (...args) => retry(() => find(...args)),
    verify: (...args) => retry(() => verify(...args)),
  }
}
