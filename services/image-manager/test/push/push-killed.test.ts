import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import type { Database } from '@registry-manager/database'
import { announceManifest } from '../../src/push/announce-manifest.ts'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { MANIFEST, REPOSITORY, blobsOf, image, repositoriesOf } from '../fixtures/index-and-registry.ts'
import type { MemoryRegistry } from '../fixtures/memory-registry.ts'
import { mortal } from '../fixtures/mortal.ts'
import { reachableIn, startReconcile } from '../fixtures/reconcile.ts'

const [ONE, TWO] = [image('one'), image('two')]

interface Process {
  readonly db: Database
  readonly registry: MemoryRegistry
}

/** Pushes as image-manager and the proxy do together. */
async function push({ db, registry }: Process, raw: Buffer, tag: string): Promise<void> {
  const ports = { registry, ...repositoriesOf(db) }
  const manifest = { repository: REPOSITORY, reference: { tag }, type: MANIFEST, raw }
  const announced = await announceManifest(ports, manifest)
  if (announced.outcome !== 'announced') throw new Error(`the push was ${announced.outcome}`)
  await registry.putManifest(REPOSITORY, tag, { raw, mediaType: MANIFEST })
  const pending = await ports.pendingPushes.findPendingPush(announced.id)
  if (pending !== undefined) await recordOrUndoPush(ports, pending)
}

await onBothDatabases(t, async (t, db) => {
  const start = async (isKnown: boolean) => {
    const started = await startReconcile(db)
    for (const digest of [ONE, TWO].flatMap(blobsOf)) started.registry.blobs.add(digest)
    // A second tag, so that the image can still be reached if the push moves the first.
    for (const tag of isKnown ? ['v1', 'other'] : []) await push(started, ONE, tag)
    return started
  }

  const CASES = [
    ['a push into a new repository', false, 'v1'],
    ['a push that moves a tag', true, 'v1'],
    ['a push of a new tag', true, 'v2'],
  ] as const
  for (const [what, isKnown, tag] of CASES) {
    for (const end of ['reconcile', 'a retry'] as const) {
      t.test(`${what} that is killed after any step is finished by ${end}`, async (t) => {
        for (let steps = 0; ; steps++) {
          const started = await start(isKnown)
          const { registry, run, contents, pendingPushes, pendingRows } = started
          const visible = await contents()
          const process = mortal(db, registry, steps)
          await push(process, TWO, tag).catch(() => undefined)
          const after = `after ${steps} steps`
          // Readers see the push completely or not at all.
          const seen = JSON.stringify(await contents())
          const isShown = seen === JSON.stringify(reachableIn(registry))
          t.ok(isShown || seen === JSON.stringify(visible), `${after}: ${seen}`)
          if (end === 'a retry') {
            await push(started, TWO, tag)
            t.same(await contents(), reachableIn(registry), after)
            t.same(await pendingRows(), [], after)
          }
          await started.agePendingPushes()
          await run()
          t.same(await contents(), reachableIn(registry), after)
          t.same([await pendingRows(), await pendingPushes()], [[], 0], after)
          if (process.isAlive()) {
            t.ok(steps >= 7, `there were ${steps} steps`)
            break
          }
        }
      })
    }
  }
})
