export interface BatchOptions {
  /** The largest number of items of a batch. */
  readonly size: number
  /** How many batches run at the same time. */
  readonly concurrent: number
}

interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * Turns work on many items into work on one. While as many batches run as may, further items wait and form the next
 * batches. An item is therefore always worked on after it was given, never by a batch that had already begun.
 */
export function createBatches<Item, Result>(
  /** Works on a batch. Returns the results in the order of the items. */
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
  { size, concurrent }: BatchOptions,
): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = []
  let running = 0

  const runNext = async (): Promise<void> => {
    const batch = waiting.splice(0, size)
    running += 1
    try {
      const results = await work(batch.map(({ item }) => item))
      if (results.length !== batch.length) {
        throw new Error(`a batch of ${batch.length} items has ${results.length} results`)
      }
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      running -= 1
      if (waiting.length > 0) void runNext()
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (running < concurrent) void runNext()
    })
}
