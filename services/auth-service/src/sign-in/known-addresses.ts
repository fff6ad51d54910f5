import { createPeriodicWork } from '@registry-manager/http'

export interface SeenAddress {
  /** The id of the account. */
  readonly id: string
  /** An IPv4 address or an IPv6 /64 network. */
  readonly address: string
  readonly at: Date
}

export interface KnownAddressesPorts {
  save(seen: readonly SeenAddress[]): Promise<void>
  trim(accountIds: readonly string[], maxPerAccount: number): Promise<void>
  has(accountId: string, address: string): Promise<boolean>
  /** Whether an error of the methods above says that the database is unavailable. */
  isUnavailable(error: unknown): boolean
  /** Milliseconds since the epoch. */
  now(): number
  onError(error: unknown): void
}

export interface KnownAddresses {
  /** Records a sign-in of an account from an address. */
  note(accountId: string, address: string): void
  /** Whether the account has signed in from the address; false while the database is unavailable. */
  isKnown(accountId: string, address: string): Promise<boolean>
  start(): void
  /** Saves the recorded sign-ins, and stops. */
  stop(): Promise<void>
}

const SAVE_MS = 5000
/** Addresses in memory. Further ones are recorded at the next sign-in. */
const MAX_UNSAVED = 10_000
const MAX_PER_ACCOUNT = 500

/** Addresses from which accounts have signed in, saved in batches: no sign-in waits for a write. */
export function createKnownAddresses(ports: KnownAddressesPorts): KnownAddresses {
  let unsaved = new Map<string, SeenAddress>()

  const save = async () => {
    if (unsaved.size === 0) return
    const batch = unsaved
    unsaved = new Map()
    try {
      await ports.save([...batch.values()])
      await ports.trim([...new Set([...batch.values()].map(({ id }) => id))], MAX_PER_ACCOUNT)
    } catch (error) {
      unsaved = new Map([...batch, ...unsaved].slice(0, MAX_UNSAVED))
      ports.onError(error)
    }
  }
  const saving = createPeriodicWork({ everyMs: SAVE_MS, waitFirst: true, work: save })

  return {
    note(id, address) {
      if (unsaved.size < MAX_UNSAVED)
        unsaved.set(`${id} ${address}`, { id, address, at: new Date(ports.now()) })
    },

    async isKnown(accountId, address) {
      try {
        return await ports.has(accountId, address)
      } catch (error) {
        if (ports.isUnavailable(error)) return false
        throw error
      }
    },

    start: saving.start,
    async stop() {
      await saving.stop()
      await save()
    },
  }
}
