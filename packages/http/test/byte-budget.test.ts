import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { createByteBudget } from '../src/byte-budget.ts'

const LIMITS = { total: 10, perAccount: 6, waiting: 4, waitingPerAccount: 2, waitMs: 5000 }

/** The state of a request (`held`, `waiting` or `refused`), and the function that releases its bytes. */
async function follow(taken: Promise<(() => void) | undefined>) {
  const state = { now: 'waiting', release: () => {} }
  const settle = async () => {
    const release = await taken
    state.now = release === undefined ? 'refused' : 'held'
    state.release = release ?? state.release
  }
  void settle()
  await nextTurn()
  return state
}

t.test('a byte budget limits each account and the total', async (t) => {
  const budget = createByteBudget(LIMITS)
  const first = await follow(budget.take('alice', 6))
  const beyondOwn = await follow(budget.take('alice', 1))
  const other = await follow(budget.take('bob', 4))
  const beyondTotal = await follow(budget.take('carol', 1))
  t.same(
    [first, beyondOwn, other, beyondTotal].map(({ now }) => now),
    ['held', 'waiting', 'held', 'waiting'],
  )

  other.release()
  await nextTurn()
  t.same(
    [beyondOwn.now, beyondTotal.now],
    ['waiting', 'held'],
    'the account at its limit delays no other account',
  )
  first.release()
  await nextTurn()
  t.equal(beyondOwn.now, 'held')
})

t.test('requests of one account get their bytes in order of arrival', async (t) => {
  const budget = createByteBudget(LIMITS)
  const first = await follow(budget.take('alice', 4))
  const large = await follow(budget.take('alice', 5))
  const small = await follow(budget.take('alice', 1))
  t.same([large.now, small.now], ['waiting', 'waiting'], 'a small request does not overtake a large one')
  first.release()
  await nextTurn()
  t.same([large.now, small.now], ['held', 'held'])
})

t.test(
  'small requests of other accounts overtake a waiting large one for a quarter of its wait',
  async (t) => {
    const budget = createByteBudget({ ...LIMITS, waitMs: 4000 })
    const first = await follow(budget.take('alice', 5))
    const large = await follow(budget.take('bob', 6))
    const early = await follow(budget.take('carol', 2))
    t.same([large.now, early.now], ['waiting', 'held'])
    await sleep(1050)
    const late = await follow(budget.take('dave', 2))
    t.same(
      [large.now, late.now],
      ['waiting', 'waiting'],
      'bytes are free, but the large request is first in line',
    )
    early.release()
    await nextTurn()
    t.same([large.now, late.now], ['waiting', 'waiting'], 'released bytes stay free for the large request')
    first.release()
    await nextTurn()
    t.same([large.now, late.now], ['held', 'held'])
  },
)

t.test('a request that waits for the limit of its own account is overtaken by other accounts', async (t) => {
  const budget = createByteBudget(LIMITS)
  const first = await follow(budget.take('alice', 5))
  const large = await follow(budget.take('alice', 2))
  const small = await follow(budget.take('alice', 1))
  const other = await follow(budget.take('bob', 2))
  t.same([large.now, small.now, other.now], ['waiting', 'waiting', 'held'])
  other.release()
  await nextTurn()
  t.same([large.now, small.now], ['waiting', 'waiting'], 'the account keeps its own order of arrival')
  first.release()
  await nextTurn()
  t.same([large.now, small.now], ['held', 'held'])
})

t.test('requests behind a large one get their bytes when its wait ends without success', async (t) => {
  const budget = createByteBudget({ ...LIMITS, waitMs: 2000 })
  await follow(budget.take('alice', 5))
  const large = await follow(budget.take('bob', 6))
  await sleep(1000)
  const small = await follow(budget.take('carol', 2))
  t.equal(small.now, 'waiting')
  await until(() => large.now === 'refused')
  await until(() => small.now !== 'waiting')
  t.equal(small.now, 'held')
})

t.test('a request is refused when too many of its account, or of all accounts, wait already', async (t) => {
  const budget = createByteBudget(LIMITS)
  const holders = [await follow(budget.take('alice', 6)), await follow(budget.take('bob', 4))]
  const waiting = []
  for (const account of ['alice', 'alice', 'bob', 'carol'])
    waiting.push(await follow(budget.take(account, 1)))
  t.same(
    waiting.map(({ now }) => now),
    Array(4).fill('waiting'),
  )
  t.equal((await follow(budget.take('alice', 1))).now, 'refused')
  t.equal((await follow(budget.take('dave', 1))).now, 'refused')
  for (const { release } of holders) release()
  await nextTurn()
  t.same(
    waiting.map(({ now }) => now),
    Array(4).fill('held'),
    'waiting requests are not affected',
  )
})

t.test('a request that waited too long is refused and holds no bytes', async (t) => {
  const budget = createByteBudget({ ...LIMITS, waitMs: 10 })
  const first = await budget.take('alice', 6)
  t.equal(await budget.take('alice', 6), undefined)
  first?.()
  t.ok(await budget.take('alice', 6), 'all bytes are free again')
})
