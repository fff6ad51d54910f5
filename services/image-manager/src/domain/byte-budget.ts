export interface ByteBudget {
  /**
   * Reserves bytes, for an account where it is known. Answers what gives them back, once; undefined where there are not
   * enough left now.
   */
  take(bytes: number, account?: string): (() => void) | undefined
}

/** Bytes that may be held at once, by all and by one account. What is alone may be longer than that. */
export function createByteBudget(total: number, perAccount: number): ByteBudget {
  let held = 0
  const heldBy = new Map<string, number>()
  return {
    take(bytes, account) {
      const own = account === undefined ? 0 : (heldBy.get(account) ?? 0)
      if (held > 0 && held + bytes > total) return undefined
      if (own > 0 && own + bytes > perAccount) return undefined
      held += bytes
      if (account !== undefined) heldBy.set(account, own + bytes)
      let isHeld = true
      return () => {
        if (!isHeld) return
        isHeld = false
        held -= bytes
        if (account === undefined) return
        const left = (heldBy.get(account) ?? 0) - bytes
        if (left > 0) heldBy.set(account, left)
        else heldBy.delete(account)
      }
    },
  }
}
