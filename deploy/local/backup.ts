/**
 * `npm run backup -- FILE` and `npm run restore -- FILE`: accounts and the index, of the database at DATABASE_URL or
 * of the one that `npm start` keeps in DATA_DIR.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MIGRATING, connectPostgres, runBackupCommand } from '@registry-manager/database'
import { explainStartFailure, readEnvironment, settings } from '@registry-manager/service-kit'
import { Type } from 'typebox'
import { takeDataFolder } from './data-folder.ts'
import { openPglite } from './pglite.ts'

const schema = Type.Object({
  DATABASE_URL: Type.Optional(settings.databaseUrl),
  DATA_DIR: Type.String({ default: './data' }),
})

async function run(command: string, file: string): Promise<string> {
  const { DATABASE_URL, DATA_DIR } = readEnvironment(schema, process.env)
  const dataDir = resolve(DATA_DIR)
  if (DATABASE_URL === undefined && command === 'backup' && !existsSync(join(dataDir, 'database'))) {
    throw new Error(`there is nothing to back up in DATA_DIR ${dataDir}`)
  }
  const giveBack = DATABASE_URL === undefined ? takeDataFolder(dataDir) : () => {}
  try {
    const db =
      DATABASE_URL === undefined
        ? await openPglite(join(dataDir, 'database'))
        : connectPostgres(DATABASE_URL, MIGRATING)
    try {
      return await runBackupCommand(db, command, resolve(file))
    } finally {
      await db.destroy()
    }
  } finally {
    giveBack()
  }
}

const [command = '', file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write(`npm run ${command} -- FILE: which file?\n`)
  process.exit(2)
}
try {
  process.stdout.write(`${await run(command, file)}\n`)
} catch (error) {
  process.stderr.write(`${explainStartFailure(error)}\n`)
  process.exit(1)
}
