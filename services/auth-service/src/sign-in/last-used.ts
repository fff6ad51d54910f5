import { createPeriodicWork } from '@registry-manager/http'

/** The last use of a registry token or a personal token. */
export interface TokenUse {
  readonly id: string
  readonly at: Date
  readonly address: string
}

export interface LastUsedPorts {
  save(uses: readonly TokenUse[]): Promise<void>
  readonly now: () => number
  readonly onError: (error: unknown) => void
  /** Pause between two batches, in milliseconds. */
  readonly everyMs?: number
}

export interface LastUsedLog {
  /** Notes in memory that a token signed in just now. */
  note(id: string, address: string): void
  start(): void
  /** Saves the noted uses, and stops. */
  stop(): Promise<void>
}

/**
 * The last use of each token, with the client's address. Uses are collected in memory and saved in one batch
 * every few seconds, so a sign-in writes nothing. A batch that fails is saved with the next one.
 */
export function createLastUsedLog({ save, now, onError, everyMs = 5000 }: LastUsedPorts): LastUsedLog {
  let uses = new Map<string, { at: number; address: string }>()

  const saveAll = async () => {
    if (uses.size === 0) return
    const batch = uses
    uses = new Map()
    try {
      await save([...batch].map(([id, { at, address }]) => ({ id, at: new Date(at), address })))
    } catch (error) {
      uses = new Map([...batch, ...uses])
      onError(error)
    }
  }
  const saving = createPeriodicWork({ everyMs, waitFirst: true, work: saveAll })

  return {
    note: (id, address) => void uses.set(id, { at: now(), address }),
    start: saving.start,
    stop: async () => {
      await saving.stop()
      await saveAll()
    },
  }
}
