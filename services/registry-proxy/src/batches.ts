export interface BatchOptions<Item> {
  /** Maximum number of items of a batch. */
  readonly size: number
  /** Maximum number of batches that run at the same time. */
  readonly concurrent: number
  /** Items with the same key have the same result. A batch contains one of them. */
  readonly keyOf: (item: Item) => string
}

interface Waiting<Item, Result> extends PromiseWithResolvers<Result> {
  readonly item: Item
}

/**
 * Collects single items into batches. While the maximum number of batches runs, further items wait and form the next
 * batches. The work on an item therefore always begins after the item was given, never in a batch that has begun.
 */
export function createBatches<Item, Result>(
  /** Works on a batch. Returns the results in the order of the items. */
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
  { size, concurrent, keyOf }: BatchOptions<Item>,
): (item: Item) => Promise<Result> {
  const waiting = new Map<string, Waiting<Item, Result>>()
  let running = 0

  const takeBatch = () => {
    const taken = [...waiting.entries().take(size)]
    for (const [key] of taken) waiting.delete(key)
    return taken.map(([, entry]) => entry)
  }

  const runNext = async (): Promise<void> => {
    const batch = takeBatch()
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
      if (waiting.size > 0) void runNext()
    }
  }

  return (item) => {
    const key = keyOf(item)
    const known = waiting.get(key)
    if (known !== undefined) return known.promise
    const entry = { item, ...Promise.withResolvers<Result>() }
    waiting.set(key, entry)
    if (running < concurrent) void runNext()
    return entry.promise
  }
}
