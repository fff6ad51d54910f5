import t from 'tap'
import { OTHER, TWO, hasOne, pushes, tryAll } from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { movesToTrashAndCollects, purgesAndCollects, trashedOne } from '../fixtures/trash-actors.ts'

// The runner reads the timeout of the file, not that of its tests.
t.setTimeout(1_800_000)
const db = await databaseForTest(t)

const CASES = {
  'the move of an image to the trash and a mount of its layer': {
    before: hasOne,
    first: movesToTrashAndCollects,
    second: pushes(TWO, OTHER, 'mount'),
  },
  'a purge of the trash and an upload of its layer': {
    before: trashedOne,
    first: purgesAndCollects,
    // The layer is not in the source of the mount any more, so the client uploads it.
    second: pushes(TWO, OTHER, 'mount'),
  },
}

for (const [what, actors] of Object.entries(CASES)) {
  t.test(`no acknowledged manifest, and none in the trash, loses data by ${what}, however interleaved`, (t) =>
    tryAll(t, db, actors),
  )
}
