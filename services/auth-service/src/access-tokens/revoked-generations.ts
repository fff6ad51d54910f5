import { hash } from 'node:crypto'

/** Lowest valid generations by account id. */
export interface RevokedGenerations extends ReadonlyMap<string, number> {
  /** Equal for equal contents, in whatever order they came. */
  fingerprint(): string
}

export interface ChangingGenerations {
  readonly generations: RevokedGenerations
  /** Raises the lowest valid generation of an account. A lower one than before is ignored. */
  raise(accountId: string, generation: number): void
  /** Replaces all entries. Costs no hash for those that stay. */
  replace(generations: ReadonlyMap<string, number>): void
}

/**
 * A map with a fingerprint that is updated with each change: the XOR of the SHA-256 digests of its entries. Hashing
 * 100,000 entries after each change would block the event loop each second.
 */
export function createRevokedGenerations(): ChangingGenerations {
  const entries = new Map<string, number>()
  const sum = Buffer.alloc(32)

  /** Adds an entry to the fingerprint, or removes it. */
  const toggle = (accountId: string, generation: number) => {
    const digest = hash('sha256', `${accountId} ${generation}`, 'buffer')
    for (let at = 0; at < sum.length; at += 4)
      sum.writeInt32LE(sum.readInt32LE(at) ^ digest.readInt32LE(at), at)
  }
  const remove = (accountId: string) => {
    const generation = entries.get(accountId)
    if (generation === undefined) return
    toggle(accountId, generation)
    entries.delete(accountId)
  }
  const set = (accountId: string, generation: number) => {
    if (entries.get(accountId) === generation) return
    remove(accountId)
    toggle(accountId, generation)
    entries.set(accountId, generation)
  }

  return {
    generations: Object.assign(entries, { fingerprint: () => sum.toString('base64url') }),
    raise(accountId, generation) {
      if (generation > (entries.get(accountId) ?? 0)) set(accountId, generation)
    },
    replace(generations) {
      for (const accountId of entries.keys()) if (!generations.has(accountId)) remove(accountId)
      for (const [accountId, generation] of generations) set(accountId, generation)
    },
  }
}
