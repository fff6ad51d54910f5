import t from 'tap'
import { ONE, OTHER, TWO, collects, hadOne, pushes, tryAll } from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { REPOSITORY } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)

const CASES = {
  'an upload of the same layer': pushes(TWO, OTHER, 'upload'),
  'a push of the same image': pushes(ONE, REPOSITORY, 'upload'),
}
for (const [what, second] of Object.entries(CASES)) {
  t.test(`no acknowledged manifest loses data by a collection and ${what}, however interleaved`, (t) =>
    tryAll(t, db, { before: hadOne, first: collects, second, every: 1 }),
  )
}
