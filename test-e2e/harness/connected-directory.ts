import { setTimeout as sleep } from 'node:timers/promises'
import { connectDirectory } from '../../services/auth-service/src/directory/ldap/connect.ts'
import { readConfig } from '../../services/auth-service/src/config.ts'
import type { DirectoryConfig } from '../../services/auth-service/src/directory/config.ts'
import type { Directory } from '../../services/auth-service/src/directory/directory.ts'
import { DirectoryUnavailable } from '../../services/auth-service/src/directory/directory.ts'
import type { Ending } from './beside.ts'

export interface ConnectedForTest extends Pick<Directory, 'verify'> {
  readonly find: NonNullable<Directory['find']>
  /** How often operations ended so, such as `search ok`. */
  count(operation: string): number
  /** What was logged. */
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

/** The directory's part of auth-service's configuration. */
export function configFor(settings: Readonly<Record<string, string>>): DirectoryConfig {
  const [{ directory }] = readConfig({ ...OTHER_SETTINGS, ...settings })
  if (directory === undefined) throw new Error('the settings name no directory')
  return directory
}

/** The directory as auth-service asks it, by settings as they stand in its environment. */
export function connectForTest(ending: Ending, settings: Readonly<Record<string, string>>): ConnectedForTest {
  const config = configFor(settings)
  const counts = new Map<string, number>()
  const add = (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1)
  const lines: string[] = []
  const { directory, start, stop } = connectDirectory(config, {
    metrics: { operation: (name, outcome) => add(`${name} ${outcome}`), signIn: add, refreshed: add },
    log: (level, details, message) => lines.push(`${level} ${message} ${JSON.stringify(details)}`),
    now: Date.now,
  })
  ending.teardown(stop)
  return {
    verify: directory.verify,
    find:
      directory.find ??
      (() => {
        throw new Error('there is no service account')
      }),
    count: (operation) => counts.get(operation) ?? 0,
    lines,
    start,
  }
}

/** The same, for tests in which the directory is there: on a machine that is very busy it may be too slow at first. */
export function patient({ find, verify, ...others }: ConnectedForTest): ConnectedForTest {
  const repeat = async <Result>(ask: () => Promise<Result>, left = 10): Promise<Result> => {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable) || left === 0) throw error
      await sleep(1000)
      return repeat(ask, left - 1)
    }
  }
  return {
    ...others,
    find: (...asked) => repeat(() => find(...asked)),
    verify: (...asked) => repeat(() => verify(...asked)),
  }
}
