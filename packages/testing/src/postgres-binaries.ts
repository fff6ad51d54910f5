import { readFileSync } from 'node:fs'
import { asUser } from '../../../deploy/local/child-process.ts'
import { findPostgres as findParts } from '../../../deploy/local/postgres-binaries.js'

/** The programs of an installed Postgres, or of Debian's package in the cache folder. */
export interface PostgresBinaries {
  /** The folder of the programs. */
  readonly folder: string
  /** Environment variables that the programs need. */
  readonly env: Readonly<Record<string, string>>
}

/**
 * Finds the programs of Postgres. If there are none, returns the reason. Downloads Debian's package if none is
 * installed.
 */
export function findPostgres(): PostgresBinaries | { readonly reason: string } {
  try {
    // A test never uses the database of its environment.
    const env = { ...process.env, DATABASE_URL: undefined, DATABASE_URL_FILE: undefined }
    const say = (line: string) => process.stderr.write(`${line}\n`)
    const found: { POSTGRES_BINARIES?: string; POSTGRES_LIBRARIES?: string } = findParts(env, say)
    const { POSTGRES_LIBRARIES: libraries } = found
    return {
      folder: found.POSTGRES_BINARIES ?? process.env['POSTGRES_BINARIES'] ?? '',
      env: libraries ? { LD_LIBRARY_PATH: libraries } : {},
    }
  } catch (error) {
    return { reason: (error as Error).message.split('\n')[0] ?? '' }
  }
}

/** The user that runs Postgres, which refuses to run as root; undefined if this process is not root. */
export function postgresUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(user?.[2]), gid: Number(user?.[3]) }
}

/** A command line that runs a program of Postgres as `postgresUser`, with read access to root's cache folder. */
export function asPostgresUser(command: string, args: readonly string[]): readonly [string, string[]] {
  const user = postgresUser()
  return user === undefined
    ? [command, [...args]]
    : ['setpriv', [...asUser(user), '--pdeathsig=QUIT', command, ...args]]
}
