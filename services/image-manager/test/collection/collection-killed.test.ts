import t from 'tap'
import type { Test } from 'tap'
import {
  ONE,
  collects,
  deletesAndCollects,
  endClaims,
  faultsOf,
  hasOne,
  pushes,
  startStorage,
  unreferencedData,
} from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import type { Turn } from '../fixtures/interleave.ts'
import { REPOSITORY, killed } from '../fixtures/memory-registry.ts'

/*
 * The deletion of an image, the review, the claim and the removal of its data are killed before each of their calls.
 * Another process continues, is killed as well, and a third one finishes.
 */

const db = await databaseForTest(t)
const NEVER: Turn = async () => undefined

/** Makes a process fail before the call after `calls` calls, and before all later ones. */
function dieAfter(calls: number) {
  let left = calls
  const turn: Turn = async () => {
    left -= 1
    if (left < 0) killed()
  }
  return { turn, isAlive: () => left >= 0 }
}

type Started = Awaited<ReturnType<typeof startStorage>>

/** Tries every pair of kills. `between` happens after each kill. */
async function tryKills(
  t: Test,
  between: (started: Started) => Promise<unknown>,
  check: (started: Started) => void,
) {
  let tried = 0
  for (let first = 0, isAlive = false; !isAlive; first += 1) {
    for (let second = 0, isOver = false; !isOver; second += 1) {
      const started = await startStorage(db)
      await hasOne(started)
      const one = dieAfter(first)
      await deletesAndCollects(started, one.turn).catch(unlessKilled)
      await between(started)
      await endClaims(db)
      const two = dieAfter(second)
      await collects(started, two.turn).catch(unlessKilled)
      await between(started)
      await endClaims(db)
      const what = `killed after ${first} calls, and then after ${second}`
      t.same(await faultsOf(started), [], what)
      await collects(started, NEVER)
      t.same([await faultsOf(started), await unreferencedData(started)], [[], []], `${what}, then finished`)
      check(started)
      tried += 1
      isAlive = one.isAlive()
      isOver = two.isAlive()
    }
  }
  t.ok(tried > 60, `${tried} pairs of kills`)
}

const unlessKilled = (error: Error) => {
  if (error.message !== 'killed in the middle') throw error
}

t.test('data leaves the storage although each process that collects it is killed twice', async (t) => {
  let removed = 0
  await tryKills(
    t,
    async () => undefined,
    ({ data }) => (removed += data.size === 0 ? 1 : 0),
  )
  t.ok(removed > 30, `the data was removed in ${removed} of them`)
})

t.test('an image that is pushed after a kill keeps its data', async (t) => {
  const push = async (started: Started) =>
    // The push is refused while the claim of the killed process lasts: the client retries.
    pushes(
      ONE,
      REPOSITORY,
      'upload',
    )(started, NEVER).catch((error: { statusCode?: number }) => {
      if (error.statusCode !== 503) throw error
    })
  let kept = 0
  await tryKills(t, push, ({ registry }) => {
    if (registry.tags.has('pushed')) kept += 1
  })
  t.ok(kept > 60, `the push was acknowledged in ${kept} of them`)
})
