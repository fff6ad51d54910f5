import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { INDEX, MANIFEST, REPOSITORY, blobsOf, image, indexOf } from '../fixtures/index-and-registry.ts'
import { mortal } from '../fixtures/mortal.ts'
import { parsed, reachableIn, startReconcile } from '../fixtures/reconcile.ts'

const [ONE, TWO, THREE] = [image('one'), image('two'), image('three')]
const one = parsed(ONE)
const OLD = sql<Date>`now() - interval '10 minutes'`

await onBothDatabases(t, async (t, db) => {
  /** An image to adopt, differences in both directions, and an interrupted push and deletion. */
  const start = async () => {
    const started = await startReconcile(db)
    const { registry, announce, index, agePendingPushes } = started
    for (const [name, tag] of [
      [REPOSITORY, 'moved'],
      [REPOSITORY, 'lost'],
      ['lost/app', 'v1'],
      ['dying/app', 'v1'],
    ] as const) {
      await index.manifests.putManifest(name, one)
      await index.tags.setTag(name, tag, one.digest, undefined)
    }
    registry.push(ONE, MANIFEST, 'v1', 'dying/app')
    registry.push(TWO, MANIFEST, 'moved')
    registry.push(THREE, MANIFEST, 'new')
    registry.push(ONE, MANIFEST, undefined, 'past/us')
    registry.push(indexOf(ONE), INDEX, 'latest', 'past/us')
    await announce(THREE, 'new')
    await agePendingPushes()
    for (const digest of blobsOf(ONE)) registry.repositories.get('dying/app')?.blobs.add(digest)
    await index.deletions.beginDeletion('dying/app')
    await makeOld()
    return started
  }
  /** Makes deletions old enough for another process to resume them. */
  const makeOld = () =>
    db
      .updateTable('repositories')
      .set({ deleting_since: OLD })
      .where('deleting_since', 'is not', null)
      .execute()

  for (const concurrency of [1, 4])
    t.test(
      `a run that is killed after any step is finished by the next process (${concurrency} at once)`,
      (t) => killEverywhere(t, concurrency),
    )

  async function killEverywhere(t: Test, concurrency: number) {
    let steps = 0
    // With several repositories at once, the order of the steps varies: some of the steps are enough.
    for (; ; steps += concurrency === 1 ? 1 : 7) {
      const { registry, run, contents, pendingPushes, expireLease } = await start()
      const process = mortal(db, registry, steps)
      await run({ ...process, concurrency, groupSize: 2 }).catch(() => undefined)
      if (!process.isAlive()) {
        await makeOld()
        await expireLease()
        t.ok(await run({ concurrency }), `killed after step ${steps}`)
      }
      t.same(await contents(), reachableIn(registry))
      t.same(Object.keys(await contents()), ['past/us', REPOSITORY])
      t.equal(await pendingPushes(), 0)
      t.same([...(registry.repositories.get('dying/app')?.blobs ?? ['?'])], [])
      t.equal(await run({ dueAfterSeconds: 3600 }), undefined, 'the run is finished')
      if (process.isAlive()) break
    }
    t.ok(steps > 50, `there were ${steps} steps`)
  }
})
