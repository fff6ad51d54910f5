/** Limits of the bytes that requests hold in memory, and of the wait for them. */
export interface ByteBudgetLimits {
  /** Bytes of all requests. */
  readonly total: number
  /** Bytes of one account's requests. */
  readonly perAccount: number
  /** Number of waiting requests, of all accounts and of one account. */
  readonly waiting: number
  readonly waitingPerAccount: number
  /** Maximum wait of a request, in milliseconds. */
  readonly waitMs: number
}

export interface ByteBudget {
  /**
   * Reserves bytes. Waits if too few are free. Returns the function that releases them, to be called once; undefined
   * when too many requests wait already, or when the wait takes too long.
   */
  take(account: string, bytes: number): Promise<(() => void) | undefined>
}

interface Waiter {
  readonly account: string
  readonly bytes: number
  readonly since: number
  start(): void
}

/**
 * Limits the bytes that requests hold in memory, in total and per account. Requests of one account start in order of
 * arrival. Other accounts may always overtake a request that waits for the limit of its own account. They may overtake
 * a request that waits for the total limit only during the first quarter of the longest wait: otherwise small requests
 * would starve a large one.
 */
export function createByteBudget(limits: ByteBudgetLimits): ByteBudget {
  const held = new Map<string, number>()
  const waiters = new Set<Waiter>()
  let total = 0

  const isWithinAccount = ({ account, bytes }: Pick<Waiter, 'account' | 'bytes'>) =>
    (held.get(account) ?? 0) + bytes <= limits.perAccount

  const mayBeOvertaken = ({ since }: Waiter) => performance.now() - since < limits.waitMs / 4

  /** The waiters that the limits of their accounts allow to start, up to one that must not be overtaken. */
  const nextInLine = () => {
    const blocked = new Set<string>()
    const next: Waiter[] = []
    for (const waiter of waiters) {
      if (!blocked.has(waiter.account) && isWithinAccount(waiter)) {
        next.push(waiter)
        if (!mayBeOvertaken(waiter)) return next
      }
      blocked.add(waiter.account)
    }
    return next
  }

  const hold = (account: string, bytes: number) => {
    total += bytes
    const left = (held.get(account) ?? 0) + bytes
    if (left > 0) held.set(account, left)
    else held.delete(account)
  }

  const startWaiters = () => {
    const fits = ({ bytes }: Waiter) => total + bytes <= limits.total
    for (let waiter = nextInLine().find(fits); waiter !== undefined; waiter = nextInLine().find(fits)) {
      waiters.delete(waiter)
      waiter.start()
    }
  }

  const holdUntilReleased = (account: string, bytes: number) => {
    hold(account, bytes)
    return () => {
      hold(account, -bytes)
      startWaiters()
    }
  }

  return {
    take(account, bytes) {
      const ownWaiters = [...waiters].filter((waiter) => waiter.account === account).length
      const isNext = ownWaiters === 0 && nextInLine().every(mayBeOvertaken)
      if (isNext && isWithinAccount({ account, bytes }) && total + bytes <= limits.total) {
        return Promise.resolve(holdUntilReleased(account, bytes))
      }
      if (waiters.size >= limits.waiting || ownWaiters >= limits.waitingPerAccount) {
        return Promise.resolve(undefined)
      }
      return new Promise((resolve) => {
        const waiter: Waiter = {
          account,
          bytes,
          since: performance.now(),
          start: () => {
            clearTimeout(timer)
            resolve(holdUntilReleased(account, bytes))
          },
        }
        const timer = setTimeout(() => {
          waiters.delete(waiter)
          resolve(undefined)
          startWaiters()
        }, limits.waitMs)
        waiters.add(waiter)
      })
    },
  }
}
