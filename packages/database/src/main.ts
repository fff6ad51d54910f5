/**
 * The command that brings the database at DATABASE_URL to this version's schema. With `--wait` it changes
 * nothing, and ends once somebody else has brought it there: what a service waits for before it starts.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MIGRATING, connectPostgres } from './connect.ts'
import { databaseUrlFrom } from './database-url.ts'
import { migrateToLatest, pendingMigrations } from './migrate.ts'

const WAIT_MS = 1000

const say = (line: string) => process.stdout.write(`${line}\n`)

/** Why the schema is not there yet; undefined once it is. */
async function whatIsMissing(): Promise<string | undefined> {
  try {
    const pending = await pendingMigrations(db)
    return pending.length === 0 ? undefined : `waiting for ${pending.join(', ')}`
  } catch (error) {
    return `waiting for the database: ${explain(error)}`
  }
}

/** An error of several attempts to connect has a code and no message. */
function explain(error: unknown): string {
  const { message, code } = error as Error & { code?: string }
  return message || String(code)
}

async function wait(): Promise<void> {
  let told: string | undefined
  for (let missing = await whatIsMissing(); missing !== undefined; missing = await whatIsMissing()) {
    if (missing !== told) say(missing)
    told = missing
    await sleep(WAIT_MS)
  }
  say('the schema is there')
}

async function migrate(): Promise<void> {
  const ran = await migrateToLatest(db)
  say(ran.length === 0 ? 'the schema is up to date' : `ran ${ran.join(', ')}`)
}

const url = databaseUrlFrom(process.env)
if ('problem' in url) {
  process.stderr.write(`${url.problem}\n`)
  process.exit(1)
}
const db = connectPostgres(url.databaseUrl, MIGRATING)
try {
  await (process.argv.includes('--wait') ? wait() : migrate())
} catch (error) {
  process.stderr.write(`the database cannot be migrated: ${explain(error)}\n`)
  process.exitCode = 1
}
await db.destroy()
