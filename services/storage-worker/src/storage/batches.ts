/** The entries of a source in arrays of this length; the last one may be shorter. */
export async function* inBatches<Entry>(
  source: AsyncIterable<Entry>,
  size: number,
): AsyncIterable<readonly Entry[]> {
  let batch: Entry[] = []
  for await (const entry of source) {
    batch.push(entry)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Calls a function for each item, some at the same time. */
export async function forEachConcurrently<Item>(
  items: readonly Item[],
  concurrency: number,
  call: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items.values()
  const work = async () => {
    for (const item of rest) await call(item)
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work))
}
