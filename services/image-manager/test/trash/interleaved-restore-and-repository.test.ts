import t from 'tap'
import { ONE, TWO } from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { movesRepositoryToTrash, restores, trashedBesideTwo } from '../fixtures/trash-actors.ts'
import { tryTrash } from '../fixtures/trash-interleavings.ts'

t.setTimeout(1_800_000)
const db = await databaseForTest(t)
const wanted = { v1: digestOf(ONE), pushed: digestOf(TWO) }

t.test(
  'no content and no tag is lost by a restore and the deletion of its repository, however interleaved',
  (t) =>
    tryTrash(t, db, {
      before: trashedBesideTwo,
      first: restores,
      second: movesRepositoryToTrash,
      wanted: () => wanted,
    }),
)
