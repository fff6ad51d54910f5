import t from 'tap'
import { ONE } from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { movesToTrash, restores, trashedOne } from '../fixtures/trash-actors.ts'
import { tryTrash } from '../fixtures/trash-interleavings.ts'

t.setTimeout(1_800_000)
const db = await databaseForTest(t)
const wanted = { v1: digestOf(ONE) }

t.test(
  'no content and no tag is lost by a restore and the deletion of the restored image, however interleaved',
  (t) => tryTrash(t, db, { before: trashedOne, first: restores, second: movesToTrash, wanted: () => wanted }),
)
