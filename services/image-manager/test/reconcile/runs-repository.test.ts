import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createRunsRepository } from '../../src/reconcile/runs-repository.ts'
import { readCounts } from '../../src/reconcile/counts.ts'

const LEASE = 60

await onBothDatabases(t, async (t, db) => {
  const start = async () => {
    await db.deleteFrom('reconciliations').execute()
    return Array.from({ length: 8 }, () => createRunsRepository(db, randomUUID()))
  }
  const rows = () => db.selectFrom('reconciliations').selectAll().execute()
  const expire = () =>
    db
      .updateTable('reconciliations')
      .set({ leased_until: sql`now()` })
      .execute()

  t.test('only one of several processes takes a run', async (t) => {
    const processes = await start()
    for (const round of ['a new run', 'a run with an expired lease']) {
      const taken = await Promise.all(processes.map(async (process) => process.take(LEASE, 0)))
      t.equal(taken.filter((run) => run !== undefined).length, 1, round)
      t.equal((await rows()).length, 1)
      await expire()
    }
  })

  t.test('the next process resumes from the saved position and counts', async (t) => {
    const [one, two] = await start()
    const run = await one?.take(LEASE, 0)
    t.match(run, { step: 'registry', lastName: undefined, counts: readCounts() })
    const counts = { ...readCounts(), repositories: 7 }
    t.equal(await one?.save(run?.id ?? '', { step: 'registry', lastName: 'team/app' }, counts, LEASE), true)
    t.equal(await two?.take(LEASE, 0), undefined)
    await one?.release(run?.id ?? '')
    t.match(await two?.take(LEASE, 0), {
      id: run?.id,
      startedAt: run?.startedAt,
      lastName: 'team/app',
      counts,
    })
  })

  t.test('a process that lost its lease cannot change the run', async (t) => {
    const [one, two] = await start()
    const { id = '' } = (await one?.take(LEASE, 0)) ?? {}
    t.equal(await one?.renew(id, LEASE), true)
    await expire()
    t.ok(await two?.take(LEASE, 0))
    t.equal(await one?.renew(id, LEASE), false)
    t.equal(await one?.save(id, { step: 'index', lastName: undefined }, readCounts(), LEASE), false)
    await one?.finish(id, readCounts(), 30)
    await one?.release(id)
    t.match(await rows(), [{ step: 'registry', finished_at: null }])
    t.equal(await one?.take(LEASE, 0), undefined, 'the lease belongs to the other process')
  })

  t.test('a run whose lease was renewed cannot be taken over', async (t) => {
    const [one, two] = await start()
    const { id = '' } = (await one?.take(LEASE, 0)) ?? {}
    await expire()
    await one?.renew(id, LEASE)
    t.equal(await two?.take(LEASE, 0), undefined)
  })

  t.test('a finished run cannot be renewed, and is deleted after the given number of days', async (t) => {
    const [one] = await start()
    for (const age of ['31 days', '29 days']) {
      const { id = '' } = (await one?.take(LEASE, 0)) ?? {}
      await one?.finish(id, { ...readCounts(), tags: 3 }, 30)
      t.equal(await one?.renew(id, LEASE), false)
      const finished_at = sql<Date>`now() - ${sql.lit(age)}::interval`
      await db.updateTable('reconciliations').set({ finished_at }).where('id', '=', id).execute()
    }
    const { id = '' } = (await one?.take(LEASE, 0)) ?? {}
    await one?.finish(id, readCounts(), 30)
    t.same((await rows()).map(({ counts }) => counts['tags']).toSorted(), [0, 3])
  })
})
