/** The command that brings the database at DATABASE_URL to this version's schema. */
import { connectPostgres } from './connect.ts'
import { migrateToLatest } from './migrate.ts'

const databaseUrl = process.env['DATABASE_URL']
if (!databaseUrl) {
  process.stderr.write('DATABASE_URL is required, such as postgres://user@host/database\n')
  process.exit(1)
}
const db = connectPostgres(databaseUrl)
const ran = await migrateToLatest(db)
process.stdout.write(ran.length === 0 ? 'the schema is up to date\n' : `ran ${ran.join(', ')}\n`)
await db.destroy()
