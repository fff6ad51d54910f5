export interface WorkInOrderOptions<Item, Result> {
  /** Number of items that are worked on at the same time. */
  readonly limit: number
  readonly work: (item: Item) => Promise<Result>
  /** Saves the results of finished items. Every item before the last of them is finished, too. */
  readonly save: (finished: readonly { readonly item: Item; readonly result: Result }[]) => Promise<void>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Results are saved when there are `SAVE_EVERY` of them, or after `SAVE_MS` milliseconds. */
const [SAVE_EVERY, SAVE_MS] = [100, 1000]
/** Maximum number of started items that are not saved: more must wait for an item that takes long. */
const MAX_AHEAD = 1000

interface StartedItem<Item, Result> {
  readonly item: Item
  finished?: { readonly result: Result }
}

/**
 * Works on items concurrently and saves their results in the order of the items. If the work on an item or a save
 * fails, starts no further item, waits for those in progress, saves the results before the first unfinished item, and
 * throws the first error.
 */
export async function workInOrder<Item, Result>(
  items: AsyncIterable<Item>,
  { limit, work, save, now }: WorkInOrderOptions<Item, Result>,
): Promise<void> {
  /** Items that are started and not saved, in order. */
  const started: StartedItem<Item, Result>[] = []
  const errors: unknown[] = []
  let [running, savedAt, canSave] = [0, now(), true]
  let wake = Promise.withResolvers<void>()

  const start = async (entry: StartedItem<Item, Result>) => {
    running += 1
    try {
      entry.finished = { result: await work(entry.item) }
    } catch (error) {
      errors.push(error)
    }
    running -= 1
    wake.resolve()
  }
  const saveFinished = async (least: number) => {
    const unfinished = started.findIndex(({ finished }) => finished === undefined)
    const ready = started
      .slice(0, unfinished === -1 ? started.length : unfinished)
      .flatMap(({ item, finished }) => (finished ? [{ item, ...finished }] : []))
    if (!canSave || ready.length < least) return
    try {
      await save(ready)
      started.splice(0, ready.length)
      savedAt = now()
    } catch (error) {
      canSave = false
      errors.push(error)
    }
  }
  const waitUntil = async (isReady: () => boolean) => {
    while (!isReady()) {
      await wake.promise
      wake = Promise.withResolvers()
      await saveFinished(now() - savedAt < SAVE_MS ? SAVE_EVERY : 1)
    }
  }

  try {
    for await (const item of items) {
      const entry: StartedItem<Item, Result> = { item }
      started.push(entry)
      void start(entry)
      await waitUntil(() => errors.length > 0 || (running < limit && started.length < MAX_AHEAD))
      if (errors.length > 0) break
    }
  } catch (error) {
    errors.push(error)
  }
  await waitUntil(() => running === 0)
  await saveFinished(1)
  if (errors.length > 0) throw errors[0]
}
