import t from 'tap'
import { ONE, hasOne, pushes } from '../fixtures/collection-actors.ts'
import { REPOSITORY, databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { movesToTrashThenCollects } from '../fixtures/trash-actors.ts'
import { tryTrash } from '../fixtures/trash-interleavings.ts'

// A loaded machine needs minutes.
t.setTimeout(1_800_000)
const db = await databaseForTest(t)
const one = digestOf(ONE)

t.test(
  'no content and no tag is lost by the move of an image to the trash and a push of it, however interleaved',
  (t) =>
    tryTrash(t, db, {
      before: hasOne,
      first: movesToTrashThenCollects,
      second: pushes(ONE, REPOSITORY, 'upload'),
      wanted: ([, pushed]) => ({ v1: one, ...(pushed !== undefined && { pushed: one }) }),
    }),
)
