import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createReconciliations } from '../../src/reconcile/reconcile-runs.ts'
import { readCounts } from '../../src/reconcile/counts.ts'

await onBothDatabases(t, async (t, db) => {
  const start = async () => {
    await db.deleteFrom('reconciliations').execute()
    return Array.from({ length: 8 }, () => createReconciliations(db))
  }
  const rows = () => db.selectFrom('reconciliations').selectAll().execute()
  const expire = () =>
    db
      .updateTable('reconciliations')
      .set({ leased_until: sql`now()` })
      .execute()

  t.test('of several that want it at once, one gets it', async (t) => {
    const processes = await start()
    for (const round of ['begun', 'taken over']) {
      const taken = await Promise.all(processes.map(async (process) => process.take()))
      t.equal(taken.filter((run) => run !== undefined).length, 1, round)
      t.equal((await rows()).length, 1)
      await expire()
    }
  })

  t.test('what is saved is where the next goes on', async (t) => {
    const [one, two] = await start()
    const run = await one?.take()
    t.match(run, { step: 'registry', lastName: undefined, counts: readCounts() })
    const counts = { ...readCounts(), repositories: 7 }
    t.equal(await one?.save(run?.id ?? '', { step: 'registry', lastName: 'team/app' }, counts), true)
    t.equal(await two?.take(), undefined)
    await one?.release(run?.id ?? '')
    t.match(await two?.take(), { id: run?.id, startedAt: run?.startedAt, lastName: 'team/app', counts })
  })

  t.test('whoever lost a run changes nothing of it any more', async (t) => {
    const [one, two] = await start()
    const { id = '' } = (await one?.take()) ?? {}
    t.equal(await one?.renew(id), true)
    await expire()
    t.ok(await two?.take())
    t.equal(await one?.renew(id), false)
    t.equal(await one?.save(id, { step: 'index', lastName: undefined }, readCounts()), false)
    await one?.finish(id, readCounts())
    await one?.release(id)
    t.match(await rows(), [{ step: 'registry', finished_at: null }])
    t.equal(await one?.take(), undefined, 'nor is it free')
  })

  t.test('a renewed one is nobody else’s', async (t) => {
    const [one, two] = await start()
    const { id = '' } = (await one?.take()) ?? {}
    await expire()
    await one?.renew(id)
    t.equal(await two?.take(), undefined)
  })

  t.test('what is over is over, and kept for a while', async (t) => {
    const [one] = await start()
    for (const age of ['31 days', '29 days']) {
      const { id = '' } = (await one?.take()) ?? {}
      await one?.finish(id, { ...readCounts(), tags: 3 })
      t.equal(await one?.renew(id), false)
      const finished_at = sql<Date>`now() - ${sql.lit(age)}::interval`
      await db.updateTable('reconciliations').set({ finished_at }).where('id', '=', id).execute()
    }
    const { id = '' } = (await one?.take()) ?? {}
    await one?.finish(id, readCounts())
    t.same((await rows()).map(({ counts }) => counts['tags']).toSorted(), [0, 3])
  })
})
