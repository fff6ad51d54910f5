import { explainError } from '@registry-manager/http/explain-error'
import { readEnvironment } from '@registry-manager/http/config'
import { settings } from '@registry-manager/http/settings'
import { Type } from 'typebox'
import type { Database } from './connect.ts'
import { MIGRATING, connectPostgres } from './connect.ts'

const schema = Type.Object({ DATABASE_URL: settings.databaseUrl })

/** Reads the database's URL from DATABASE_URL, or from the file that DATABASE_URL_FILE names. Throws ConfigError. */
export function readDatabaseUrl(env: NodeJS.ProcessEnv): string {
  return readEnvironment(schema, env).DATABASE_URL
}

/**
 * Runs the body of a command on the database at DATABASE_URL, without a statement timeout. A failure is printed as one
 * line, never with the database's password, and the exit code is 1.
 */
export async function runDatabaseCommand(work: (db: Database) => Promise<void>): Promise<void> {
  try {
    const db = connectPostgres(readDatabaseUrl(process.env), MIGRATING)
    await work(db).finally(() => db.destroy())
  } catch (error) {
    process.stderr.write(`${explainError(error)}\n`)
    process.exitCode = 1
  }
}
