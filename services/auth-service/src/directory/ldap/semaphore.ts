/** So many at once, and no more. */
export interface Semaphore {
  /** Runs work once there is a place; throws `late()` when there is none before `endsAt` (of `performance.now`). */
  run<Result>(endsAt: number, late: () => Error, work: () => Promise<Result>): Promise<Result>
}

export function createSemaphore(count: number): Semaphore {
  let free = count
  const waiting: (() => void)[] = []

  const take = (endsAt: number, late: () => Error) => {
    if (free > 0) {
      free -= 1
      return undefined
    }
    return new Promise<void>((resolve, reject) => {
      const come = () => {
        clearTimeout(timer)
        resolve()
      }
      const leave = () => {
        waiting.splice(waiting.indexOf(come), 1)
        reject(late())
      }
      const timer = setTimeout(leave, Math.max(0, endsAt - performance.now()))
      waiting.push(come)
    })
  }

  return {
    async run(endsAt, late, work) {
      await take(endsAt, late)
      try {
        return await work()
      } finally {
        // A place is handed on, or given back.
        const next = waiting.shift()
        if (next === undefined) free += 1
        else next()
      }
    },
  }
}
