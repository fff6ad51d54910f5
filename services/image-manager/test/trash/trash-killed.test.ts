import { connectPostgres } from '@registry-manager/database'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import { both, ONE, one, TWO } from '../fixtures/filled-repository.ts'
import { REPOSITORY, blobsOf } from '../fixtures/index-and-registry.ts'
import type { ManageTrash } from '../../src/trash/manage-trash.ts'
import { mortal } from '../fixtures/mortal.ts'
import { startTrash as start, trashOf } from '../fixtures/trash.ts'

/* Deletions and restores that are killed after each of their steps. */

const postgres = await startMigratedPostgres(t)
if (postgres !== undefined) {
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const list = async ({ list: read }: ManageTrash) => (await read(undefined, { limit: 50 })).items
  /** Restores an entry with everything in it. */
  const restore = async ({ restore: run }: ManageTrash, id: string) => {
    const restored = await run('team', id)
    if (restored === undefined || restored === 'being-restored' || restored.result.outcome !== 'restored')
      throw new Error(`not restored: ${JSON.stringify(restored)}`)
    return restored.result.missing
  }
  /** Number of entries in any state. */
  const count = async () => (await db.selectFrom('trash').select('id').execute()).length
  const contentsOf = ({ manifests, blobs }: { manifests: Map<string, unknown>; blobs: Set<string> }) => ({
    manifests: [...manifests.keys()],
    blobs: [...blobs],
  })

  t.test(
    'a deletion that is killed after any step loses nothing: the manifest or its entry is there',
    async (t) => {
      let steps = 0
      for (; ; steps += 1) {
        const { registry, recover, manifests, manageTrash, deleteManifest, inTrash } = await start(db)
        await deleteManifest(REPOSITORY, both)
        const process = mortal(db, registry, steps)
        await trashOf(process.db, process.registry)
          .deleteManifest(REPOSITORY, one)
          .catch(() => undefined)
        await recover()
        const entry = (await list(manageTrash)).find(({ digest }) => digest === one)
        const exists = registry.manifests.has(one)
        t.equal(exists, entry === undefined, `either it exists or it is in the trash (step ${steps})`)
        if (entry !== undefined) {
          t.same(await restore(manageTrash, entry.id), [], `step ${steps}`)
        }
        t.ok(registry.manifests.has(one))
        t.ok((await manifests()).includes(one))
        for (const blob of blobsOf(ONE)) t.ok(registry.blobs.has(blob), `blob (step ${steps})`)
        t.equal(inTrash().length, 1, 'only the entry of the image index is left')
        if (process.isAlive()) break
      }
      t.ok(steps > 15, `there were ${steps} steps`)
    },
  )

  t.test('the deletion of a repository that is killed after any step ends in the trash', async (t) => {
    let steps = 0
    for (; ; steps += 1) {
      const { registry, recover, manageTrash, deleteRepository, tags } = await start(db)
      const process = mortal(db, registry, steps)
      await trashOf(process.db, process.registry)
        .deleteRepository(REPOSITORY)
        .catch(() => undefined)
      if (!process.isAlive()) await deleteRepository(REPOSITORY)
      await recover()
      const [entry, ...others] = await list(manageTrash)
      t.same(others, [], `one entry (step ${steps})`)
      t.same(contentsOf(registry), { manifests: [], blobs: [] })
      t.same(await restore(manageTrash, entry?.id ?? ''), [], `step ${steps}`)
      t.same(await tags(), { again: one, both, one })
      t.same(new Set(registry.blobs), new Set([ONE, TWO].flatMap(blobsOf)))
      if (process.isAlive()) break
    }
    t.ok(steps > 25, `there were ${steps} steps`)
  })

  t.test(
    'a purge that is killed after any step leaves an entry that is whole or nothing at all',
    async (t) => {
      let steps = 0
      let whole = 0
      for (; ; steps += 1) {
        const { registry, recover, manageTrash, deleteRepository, tags, inTrash } = await start(db)
        await deleteRepository(REPOSITORY)
        const id = (await list(manageTrash))[0]?.id ?? ''
        const process = mortal(db, registry, steps)
        await trashOf(process.db, process.registry)
          .manageTrash.purge('team', id)
          .catch(() => undefined)
        await recover()
        if ((await list(manageTrash)).length > 0) {
          whole += 1
          t.same(await restore(manageTrash, id), [], `step ${steps}`)
          t.same(await tags(), { again: one, both, one }, `step ${steps}`)
        } else t.same([await tags(), contentsOf(registry)], [{}, { manifests: [], blobs: [] }])
        t.same(inTrash(), [], `nothing is left (step ${steps})`)
        if (process.isAlive()) break
      }
      t.ok(steps > 10, `there were ${steps} steps`)
      t.ok(whole > 0 && whole < steps, `the entry was whole after ${whole} of them`)
    },
  )

  t.test(
    'emptying of expired entries is finished by another process after two kills at any step',
    async (t) => {
      let steps = 0
      for (; ; steps += 1) {
        const { registry, recover, manageTrash, deleteRepository, inTrash } = await start(db)
        await deleteRepository(REPOSITORY)
        await db
          .updateTable('trash')
          .set({ expires_at: new Date(0) })
          .execute()
        let isAlive = false
        for (const part of [steps, Math.ceil(steps / 2)]) {
          const process = mortal(db, registry, part)
          const { schedule } = trashOf(process.db, process.registry)
          schedule.start()
          await until(async () => !process.isAlive() || (await count()) === 0)
          await schedule.stop()
          isAlive ||= process.isAlive()
          // Some minutes later the claim of the killed process has ended.
          await db
            .updateTable('trash')
            .set({ claimed_at: new Date(0) })
            .execute()
        }
        await recover()
        t.same([await list(manageTrash), inTrash(), await count()], [[], [], 0], `step ${steps}`)
        if (isAlive) break
      }
      t.ok(steps > 10, `there were ${steps} steps`)
    },
  )

  t.test('a restore that is killed after any step is finished by the next one', async (t) => {
    let steps = 0
    for (; ; steps += 1) {
      const { registry, recover, manageTrash, deleteRepository, tags, agePendingPushes, inTrash } =
        await start(db)
      await deleteRepository(REPOSITORY)
      const id = (await list(manageTrash))[0]?.id ?? ''
      const process = mortal(db, registry, steps)
      await trashOf(process.db, process.registry)
        .manageTrash.restore('team', id)
        .catch(() => undefined)
      await agePendingPushes()
      await recover()
      if ((await list(manageTrash)).length > 0) t.same(await restore(manageTrash, id), [], `step ${steps}`)
      t.same(await tags(), { again: one, both, one }, `step ${steps}`)
      t.same(new Set(registry.blobs), new Set([ONE, TWO].flatMap(blobsOf)))
      t.same([await list(manageTrash), inTrash()], [[], []], `nothing is left (step ${steps})`)
      if (process.isAlive()) break
    }
    t.ok(steps > 30, `there were ${steps} steps`)
  })
}
