/** Runs work on items, up to `limit` at the same time. After a failure no work on further items is started. */
export async function inParallel<Item>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const queue = [...items]
  const workQueued = async () => {
    try {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
    } catch (error) {
      queue.length = 0
      throw error
    }
  }
  await Promise.all(Array.from({ length: limit }, workQueued))
}
