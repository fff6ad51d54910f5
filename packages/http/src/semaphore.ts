export interface SemaphoreOptions {
  /** Maximum numbers of waiting calls, in all lanes together and in each lane; unlimited when left out. */
  readonly maxWaiting?: number
  readonly maxWaitingInLane?: number
  /** The error of a call that finds no room to wait. */
  readonly onFull?: () => Error
}

export interface RunOptions {
  /** Calls of one lane wait in order; lanes take turns. All calls share one lane when left out. */
  readonly lane?: string
  /** The time of `performance.now()` until which the call waits for a permit; unlimited when left out. */
  readonly deadline?: number
  /** The error of a call that gets no permit before its deadline. */
  readonly onLate?: () => Error
}

/** Limits the number of calls that run at the same time. */
export interface Semaphore {
  /**
   * Runs work once there is a permit for it. Throws `onFull()` when there is no room to wait, and `onLate()` when no
   * permit comes before the deadline.
   */
  run<Result>(work: () => Promise<Result>, options?: RunOptions): Promise<Result>
}

interface Waiter {
  start(): void
  refuse(error: Error): void
}

/**
 * A counting semaphore whose waiting calls are served fairly: one call of each lane in turn. A lane with many waiting
 * calls therefore delays another lane's first call by one call at most. When `maxWaiting` is reached, the longest lane
 * loses its last call to a shorter lane.
 */
export function createSemaphore(
  limit: number,
  {
    maxWaiting = Infinity,
    maxWaitingInLane = Infinity,
    onFull = () => new Error('too many calls are waiting'),
  }: SemaphoreOptions = {},
): Semaphore {
  let [running, size] = [0, 0]
  // In the order of turns: a lane that was served moves to the end.
  const lanes = new Map<string, Waiter[]>()

  const makeRoom = (lane: string): boolean => {
    const own = lanes.get(lane)?.length ?? 0
    if (own >= maxWaitingInLane) return false
    if (size < maxWaiting) return true
    const longest = [...lanes.values()].reduce((one, other) => (other.length > one.length ? other : one), [])
    if (longest.length <= own + 1) return false
    longest.pop()?.refuse(onFull())
    size -= 1
    return true
  }

  const remove = (lane: string, waiter: Waiter) => {
    const waiters = lanes.get(lane) ?? []
    waiters.splice(waiters.indexOf(waiter), 1)
    if (waiters.length === 0) lanes.delete(lane)
    size -= 1
  }

  const wait = ({ lane = '', deadline = Infinity, onLate = () => new Error('timed out') }: RunOptions) =>
    new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        start: () => {
          clearTimeout(timer)
          resolve()
        },
        refuse: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      }
      const expire = () => {
        remove(lane, waiter)
        reject(onLate())
      }
      const timer =
        deadline === Infinity ? undefined : setTimeout(expire, Math.max(0, deadline - performance.now()))
      const waiters = lanes.get(lane) ?? []
      waiters.push(waiter)
      lanes.set(lane, waiters)
      size += 1
    })

  /** Passes the permit of a finished call to the next lane, or gives the permit back. */
  const passOn = () => {
    const [first] = lanes
    if (first === undefined) {
      running -= 1
      return
    }
    const [lane, waiters] = first
    const waiter = waiters.shift()
    size -= 1
    lanes.delete(lane)
    if (waiters.length > 0) lanes.set(lane, waiters)
    waiter?.start()
  }

  return {
    async run(work, options = {}) {
      if (running < limit) {
        running += 1
      } else {
        if (!makeRoom(options.lane ?? '')) throw onFull()
        await wait(options)
      }
      try {
        return await work()
      } finally {
        passOn()
      }
    },
  }
}
