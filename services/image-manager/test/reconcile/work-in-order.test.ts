import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { workInOrder } from '../../src/reconcile/work-in-order.ts'

async function* upTo(count: number) {
  for (let item = 0; item < count; item++) yield item
}

type Finished = readonly { readonly item: number; readonly result: number }[]

/** Results that were saved, in the order of the saves. */
const recorder = () => {
  const saves: number[][] = []
  return {
    saves,
    save: async (finished: Finished) => void saves.push(finished.map(({ result }) => result)),
  }
}

t.test('results are saved in the order of the items, at most so many at a time are worked on', async (t) => {
  for (const limit of [1, 3, 16]) {
    const { saves, save } = recorder()
    let [running, most] = [0, 0]
    await workInOrder(upTo(250), {
      limit,
      save,
      now: () => 0,
      work: async (item) => {
        running += 1
        most = Math.max(most, running)
        // Later items finish first.
        await sleep(item % 7 === 0 ? 2 : 0)
        running -= 1
        return item * 10
      },
    })
    t.same(
      saves.flat(),
      Array.from({ length: 250 }, (_, item) => item * 10),
    )
    t.equal(most, limit)
    t.ok(saves.length < 20, `${saves.length} saves`)
  }
})

t.test('results are saved at least every second', async (t) => {
  const { saves, save } = recorder()
  let now = 0
  await workInOrder(upTo(6), { limit: 1, save, now: () => (now += 600), work: async (item) => item })
  t.ok(saves.length >= 3, `${saves.length} saves`)
})

t.test('an item that takes long holds up the save of later ones, not their work', async (t) => {
  const { saves, save } = recorder()
  const long = Promise.withResolvers<void>()
  const done: number[] = []
  await workInOrder(upTo(200), {
    limit: 2,
    save: async (finished: Finished) => {
      t.equal(done.length, 200)
      await save(finished)
    },
    now: () => 0,
    work: async (item) => {
      if (item === 0) await long.promise
      done.push(item)
      if (item === 199) long.resolve()
      return item
    },
  })
  t.same(saves.flat().length, 200)
})

t.test(
  'after a failure no further item starts, running items finish, and the position before the failed item is saved',
  async (t) => {
    const { saves, save } = recorder()
    const [started, ended]: number[][] = [[], []]
    const working = workInOrder(upTo(100), {
      limit: 4,
      save,
      now: () => 0,
      work: async (item) => {
        started?.push(item)
        if (item === 10) throw new Error('item 10 fails')
        await sleep(5)
        ended?.push(item)
        return item
      },
    })
    await t.rejects(working, { message: 'item 10 fails' })
    t.same(saves.flat(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    t.ok((started?.length ?? 0) <= 14, `${started?.length} items were started`)
    t.equal(ended?.length, (started?.length ?? 0) - 1)
  },
)

t.test('a save that fails ends the work, and nothing is saved after it', async (t) => {
  let saves = 0
  const working = workInOrder(upTo(1000), {
    limit: 3,
    save: async () => {
      saves += 1
      throw new Error('not saved')
    },
    now: () => 0,
    work: async (item) => item,
  })
  await t.rejects(working, { message: 'not saved' })
  t.equal(saves, 1)
})

t.test('a list that cannot be read ends the work after the items that were listed', async (t) => {
  const { saves, save } = recorder()
  async function* broken() {
    yield 1
    yield 2
    throw new Error('no further page')
  }
  const work = async (item: number) => item
  await t.rejects(workInOrder(broken(), { limit: 2, save, now: () => 0, work }), {
    message: 'no further page',
  })
  t.same(saves.flat(), [1, 2])
})
