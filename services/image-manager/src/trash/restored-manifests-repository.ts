import type { Schema } from '@registry-manager/database'
import type { Transaction } from 'kysely'
import { sql } from 'kysely'
import { idOf } from './trash-contents-repository.ts'
import type { TrashEntry } from './trash-entry.ts'

/* Statements about the manifests of an entry that is being restored, for transactions of `keptTrash`. */

/**
 * Gives the state `trashed` back to restored manifests that the repository has lost again: a deletion has removed them
 * since, or is removing the repository.
 */
export async function takeBackDeleted(tx: Transaction<Schema>, entry: TrashEntry): Promise<void> {
  await sql`
    update all_manifests as restored set state = 'trashed'
    where repository_id = ${idOf(entry)} and state = 'restored' and not exists (
      select from manifests join repositories on repositories.id = manifests.repository_id
      where repositories.name = ${entry.repository} and deleting_since is null
        and manifests.digest = restored.digest)`.execute(tx)
}

/** Digests of manifests that are not restored. */
export async function listUnrestored(
  tx: Transaction<Schema>,
  entry: TrashEntry,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ digest: string }>`
    select digest from all_manifests where repository_id = ${idOf(entry)} and state in ('moving', 'trashed')
    order by digest limit ${limit}`.execute(tx)
  return rows.map(({ digest }) => digest)
}
