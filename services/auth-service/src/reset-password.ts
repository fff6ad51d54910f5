/** The command `registry-manager reset-password NAME` of the image, for the database at DATABASE_URL. */
import { connectPostgres, readDatabaseUrl } from '@registry-manager/database'
import { runResetPassword } from './accounts/reset-password-command.ts'

const open = async () => {
  const db = connectPostgres(readDatabaseUrl(process.env))
  return { db, close: () => db.destroy() }
}

await runResetPassword({ name: 'registry-manager reset-password', args: process.argv.slice(2), open })
