/**
 * The command that migrates the database at DATABASE_URL to this version's schema. With `--wait` it changes nothing
 * and ends once another process has migrated the database: services wait for that before they start.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { explainError } from '@registry-manager/http/explain-error'
import type { Database } from './connect.ts'
import { migrateToLatest, pendingMigrations } from './migrate.ts'
import { runDatabaseCommand } from './run-command.ts'

const WAIT_MS = 1000

const print = (line: string) => process.stdout.write(`${line}\n`)

async function migrate(db: Database): Promise<void> {
  const migrations = await migrateToLatest(db)
  print(migrations.length === 0 ? 'the schema is up to date' : `ran ${migrations.join(', ')}`)
}

async function wait(db: Database): Promise<void> {
  let printed: string | undefined
  for (let reason = await whyWait(db); reason !== undefined; reason = await whyWait(db)) {
    if (reason !== printed) print(reason)
    printed = reason
    await sleep(WAIT_MS)
  }
  print('the schema is up to date')
}

/** The reason why the schema is not ready; undefined once it is. */
async function whyWait(db: Database): Promise<string | undefined> {
  try {
    const pending = await pendingMigrations(db)
    return pending.length === 0 ? undefined : `waiting for the migrations ${pending.join(', ')}`
  } catch (error) {
    return `waiting for the database: ${explainError(error)}`
  }
}

await runDatabaseCommand(async (db) => {
  if (process.argv.includes('--wait')) return wait(db)
  try {
    await migrate(db)
  } catch (error) {
    throw new Error(`the database cannot be migrated: ${explainError(error)}`, { cause: error })
  }
})
