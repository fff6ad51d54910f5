import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { madeSecret } from '../../../deploy/local/data-folder.ts'
import { databaseUrlOf } from '../../../deploy/local/stack/postgres.ts'
import type { Database } from '../../../packages/database/src/connect.ts'
import { connectPostgres } from '../../../packages/database/src/connect.ts'
import type { System } from '../system.ts'

type Stored = Pick<System, 'dataDir'>

/** The sizes of all blobs in the registry's storage, by their digests. */
export function listStored({ dataDir }: Stored): ReadonlyMap<string, number> {
  const blobs = join(dataDir, 'images/docker/registry/v2/blobs')
  return new Map(
    globSync('*/*/*/data', { cwd: blobs }).flatMap((file) => {
      const [algorithm, , hex] = file.split('/')
      // A file may be removed at this moment.
      const found = statSync(join(blobs, file), { throwIfNoEntry: false })
      return found === undefined ? [] : [[`${algorithm}:${hex}`, found.size]]
    }),
  )
}

/**
 * Ends the claims of killed processes on entries of the trash at once. They end by themselves after up to five minutes.
 * Only for a system whose processes have no work left: a claim of a living process must not end early.
 */
export function endTrashClaims(system: Stored): Promise<void> {
  return withDatabase(system, (db) =>
    db
      .updateTable('trash')
      .set({ claimed_at: new Date(0) })
      .where('state', 'in', ['filling', 'filled', 'restoring'])
      .execute(),
  )
}

/**
 * Makes uploads and mounts that no manifest followed older than a day. A killed process leaves some of them, and their
 * data stays for a day.
 */
export function ageAbandonedUploads(system: Stored): Promise<void> {
  return withDatabase(system, (db) =>
    db
      .updateTable('repository_blobs')
      .set({ announced_at: new Date(Date.now() - 2 * 86_400_000) })
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('manifest_references')
              .select('manifest_references.digest')
              .whereRef('manifest_references.digest', '=', 'repository_blobs.digest'),
          ),
        ),
      )
      .execute(),
  )
}

async function withDatabase({ dataDir }: Stored, work: (db: Database) => Promise<unknown>): Promise<void> {
  const port = Number(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[3])
  const passwordFile = madeSecret(dataDir, 'database-password').file
  const db = connectPostgres(databaseUrlOf({ port, passwordFile }))
  try {
    await work(db)
  } finally {
    await db.destroy()
  }
}
