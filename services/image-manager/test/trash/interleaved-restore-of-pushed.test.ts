import t from 'tap'
import { ONE } from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { movesToTrash, restores, trashedAndPushed } from '../fixtures/trash-actors.ts'
import { tryTrash } from '../fixtures/trash-interleavings.ts'

t.setTimeout(1_800_000)
const db = await databaseForTest(t)
const wanted = { v1: digestOf(ONE), pushed: digestOf(ONE) }

t.test(
  'no content and no tag is lost by a restore and the deletion of the same image, which was pushed again, however interleaved',
  (t) =>
    tryTrash(t, db, {
      before: trashedAndPushed,
      first: restores,
      second: movesToTrash,
      wanted: () => wanted,
    }),
)
