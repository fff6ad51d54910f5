import t from 'tap'
import { ONE, pushes } from '../fixtures/collection-actors.ts'
import { REPOSITORY, databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { movesRepositoryToTrash, movesToTrash, restores, trashedOne } from '../fixtures/trash-actors.ts'
import { tryTrashRandomly } from '../fixtures/trash-interleavings.ts'

/*
 * Three and more processes at once have too many interleavings to try them all. `RANDOM_ORDERS=300` tries more random
 * orders of their calls.
 */
const ORDERS = Number(process.env['RANDOM_ORDERS'] ?? 10)

t.setTimeout(1_800_000)
const db = await databaseForTest(t)
const wanted = { v1: digestOf(ONE) }
const pushesAgain = pushes(ONE, REPOSITORY, 'upload')
/** `known`: seeds of orders that once lost a layer or a tag. */
const CASES = {
  'a restore, a push and the deletion of the repository': {
    actors: [restores, pushesAgain, movesRepositoryToTrash],
    known: [1102, 1355],
  },
  'two restores, a push and the deletion of the repository': {
    actors: [restores, restores, pushesAgain, movesRepositoryToTrash],
    known: [],
  },
  'a restore, a push and the deletion of the image': {
    actors: [restores, pushesAgain, movesToTrash],
    known: [1196],
  },
}
for (const [what, { actors, known }] of Object.entries(CASES)) {
  t.test(`no content and no tag is lost by ${what}, in random orders`, (t) => {
    const seeds = [...known, ...Array.from({ length: ORDERS }, (_, at) => at)]
    return tryTrashRandomly(t, db, { before: trashedOne, actors, wanted, seeds })
  })
}
