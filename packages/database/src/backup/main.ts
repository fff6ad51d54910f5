/** The commands `backup [FILE]` and `restore [FILE]` for the database at DATABASE_URL. */
import { runDatabaseCommand } from '../run-command.ts'
import { runBackupCommand } from './command.ts'

const [command = '', file] = process.argv.slice(2)
await runDatabaseCommand(async (db) => {
  const result = await runBackupCommand(db, command, file)
  // Standard output may be the backup itself.
  process.stderr.write(`${result}\n`)
})
