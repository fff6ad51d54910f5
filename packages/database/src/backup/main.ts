/** The commands `backup [FILE]` and `restore [FILE]` for the database at DATABASE_URL. */
import { MIGRATING, connectPostgres } from '../connect.ts'
import { databaseUrlFrom } from '../database-url.ts'
import { runBackupCommand } from './command.ts'

const [command = '', file] = process.argv.slice(2)
const url = databaseUrlFrom(process.env)
if ('problem' in url) {
  process.stderr.write(`${url.problem}\n`)
  process.exit(1)
}
const db = connectPostgres(url.databaseUrl, MIGRATING)
try {
  process.stderr.write(`${await runBackupCommand(db, command, file)}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message || (error as { code?: string }).code}\n`)
  process.exitCode = 1
}
await db.destroy()
