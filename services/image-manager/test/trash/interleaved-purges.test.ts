import t from 'tap'
import { ONE } from '../fixtures/collection-actors.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { purgesLateThenCollects, restoresInSteps, trashedOne } from '../fixtures/trash-actors.ts'
import { tryTrash } from '../fixtures/trash-interleavings.ts'

t.setTimeout(1_800_000)
const db = await databaseForTest(t)

const isRestored = (result: unknown) =>
  (result as { result?: { outcome?: string } } | undefined)?.result?.outcome === 'restored'

t.test(
  'no content is lost by a slow restore and a purge and removal of the same entry, however interleaved',
  (t) =>
    tryTrash(t, db, {
      before: trashedOne,
      first: restoresInSteps,
      second: purgesLateThenCollects,
      wanted: ([restored, purged]) =>
        isRestored(restored) || purged !== 'purged' ? { v1: digestOf(ONE) } : {},
    }),
)
