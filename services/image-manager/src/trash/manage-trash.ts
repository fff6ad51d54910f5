import type { EmptyEntryPorts } from './empty-entry.ts'
import { emptyEntry } from './empty-entry.ts'
import type { RestoreEntryPorts, RestoreResult } from './restore-entry.ts'
import { restoreEntry } from './restore-entry.ts'
import type { ListedEntry, TrashEnd, TrashEntry, TrashPage } from './trash-entry.ts'

export type ManageTrashPorts = RestoreEntryPorts &
  EmptyEntryPorts & {
    readonly keptTrash: {
      list(namespace: string | undefined, page: TrashPage): Promise<readonly ListedEntry[]>
      beginRestore(namespace: string | undefined, id: string): Promise<TrashEntry | 'busy' | undefined>
      purge(
        namespace: string | undefined,
        id: string,
        ended: TrashEnd,
      ): Promise<TrashEntry | 'busy' | undefined>
    }
    /** Counts an entry that has ended. */
    readonly ended: (reason: 'restored' | 'purged') => void
    /** Called if an entry that has ended could not be emptied. The background work empties it later. */
    readonly onNotEmptied: (error: unknown) => void
  }

export type ManageTrash = ReturnType<typeof createManageTrash>

/** Lists, restores and purges entries of the trash: those of a namespace, or all if the namespace is undefined. */
export function createManageTrash(ports: ManageTrashPorts) {
  const { keptTrash } = ports
  const empty = async (entry: TrashEntry) => {
    try {
      await emptyEntry(ports, entry)
    } catch (error) {
      ports.onNotEmptied(error)
    }
  }

  return {
    /** One page, the newest entry first. `next`: the number after which the next page starts. */
    async list(
      namespace: string | undefined,
      { limit, before }: TrashPage,
    ): Promise<{ readonly items: readonly ListedEntry[]; readonly next: string | null }> {
      // One more than the page shows whether another page follows.
      const entries = await keptTrash.list(namespace, { limit: limit + 1, before })
      const items = entries.slice(0, limit)
      return { items, next: entries.length > limit ? (items.at(-1)?.number ?? null) : null }
    },

    /** Undefined if there is no such entry. */
    async restore(
      namespace: string | undefined,
      id: string,
    ): Promise<
      { readonly entry: TrashEntry; readonly result: RestoreResult } | 'being-restored' | undefined
    > {
      const entry = await keptTrash.beginRestore(namespace, id)
      if (entry === undefined) return undefined
      if (entry === 'busy') return 'being-restored'
      const result = await restoreEntry(ports, entry)
      if (result.outcome === 'restored' && result.missing.length === 0) {
        ports.ended('restored')
        await empty(entry)
      }
      return { entry, result }
    },

    /** Removes an entry for good. Undefined if there is no such entry. */
    async purge(namespace: string | undefined, id: string): Promise<'purged' | 'being-restored' | undefined> {
      const entry = await keptTrash.purge(namespace, id, { action: 'trash.purge' })
      if (entry === undefined) return undefined
      if (entry === 'busy') return 'being-restored'
      ports.ended('purged')
      await empty(entry)
      return 'purged'
    },
  }
}
