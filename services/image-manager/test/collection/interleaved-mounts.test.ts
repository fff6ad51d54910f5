import t from 'tap'
import { OTHER, TWO, deletesAndCollects, hasOne, pushes, tryAll } from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'

const db = await databaseForTest(t)

t.test(
  'no acknowledged manifest loses data by the deletion of an image and a mount of its layer, however interleaved',
  (t) =>
    tryAll(t, db, {
      before: hasOne,
      first: deletesAndCollects,
      second: pushes(TWO, OTHER, 'mount'),
      every: 1,
    }),
)
