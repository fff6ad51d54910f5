/** Runs work in turn, a few at once, and takes the lanes that wait one after the other. */
export interface FairQueue {
  /** Throws `onFull()` when the lane, or the whole queue, has no room. */
  run<Result>(lane: string, work: () => Promise<Result>): Promise<Result>
}

export interface FairQueueOptions {
  readonly maxRunning: number
  readonly maxWaitingInLane: number
  readonly maxWaiting: number
  readonly onFull: () => Error
}

interface Waiting {
  readonly start: () => void
  readonly refuse: () => void
}

/**
 * A queue with a lane for each client: however much one of them brings, another one's first work comes after at most
 * one piece of work of each lane. When the queue is full, the longest lane loses its last place to a shorter one.
 */
export function createFairQueue({
  maxRunning,
  maxWaitingInLane,
  maxWaiting,
  onFull,
}: FairQueueOptions): FairQueue {
  let [running, size] = [0, 0]
  // In the order of turns: a lane that was served goes to the end.
  const lanes = new Map<string, Waiting[]>()

  const makeRoom = (lane: string): boolean => {
    const mine = lanes.get(lane)?.length ?? 0
    if (mine >= maxWaitingInLane) return false
    if (size < maxWaiting) return true
    const longest = [...lanes.values()].reduce((one, other) => (other.length > one.length ? other : one), [])
    if (longest.length <= mine + 1) return false
    longest.pop()?.refuse()
    size -= 1
    return true
  }

  const wait = (lane: string) =>
    new Promise<void>((resolve, reject) => {
      const line = lanes.get(lane) ?? []
      line.push({ start: resolve, refuse: () => reject(onFull()) })
      lanes.set(lane, line)
      size += 1
    })

  const next = () => {
    const [first] = lanes
    if (first === undefined) {
      running -= 1
      return
    }
    const [lane, line] = first
    const waiting = line.shift()
    size -= 1
    lanes.delete(lane)
    if (line.length > 0) lanes.set(lane, line)
    waiting?.start()
  }

  return {
    async run(lane, work) {
      if (running >= maxRunning) {
        if (!makeRoom(lane)) throw onFull()
        await wait(lane)
      } else {
        running += 1
      }
      try {
        return await work()
      } finally {
        // A place is handed on, or given back.
        next()
      }
    },
  }
}
