import t from 'tap'
import { ONE, TWO, deletesAndCollects, hasOne, pushes, tryAll } from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { REPOSITORY } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)

const CASES = {
  'a manifest that references its layer': pushes(TWO, REPOSITORY, 'nothing'),
  'a push of the same image': pushes(ONE, REPOSITORY, 'upload'),
}
for (const [what, second] of Object.entries(CASES)) {
  t.test(
    `no acknowledged manifest loses data by the deletion of an image and ${what}, however interleaved`,
    (t) => tryAll(t, db, { before: hasOne, first: deletesAndCollects, second }),
  )
}
