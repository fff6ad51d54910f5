import t from 'tap'
import { connectPostgres } from '@registry-manager/database'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { createAccountsRepository } from '../../src/accounts/accounts-repository.ts'
import { createRevocationsRepository } from '../../src/accounts/revocations-repository.ts'

const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000'
const LATE_ID = '00000000-0000-4000-8000-000000000001'

void onBothDatabases(t, async (t, db) => {
  const createAccount = async () => {
    const rights = { role: 'user', enabled: true, namespaces: ['team'] } as const
    const account = { username: 'eve', directory: false, ...rights, passwordHash: 'a hash' }
    const inserted = await createAccountsRepository(db).insert(account)
    if (inserted === undefined) throw new Error('the username is taken')
    return inserted
  }

  t.test('the last revocation of an account counts, and outlives the account', async (t) => {
    const revocations = createRevocationsRepository(db)
    const { id } = await createAccount()
    const hourAgo = new Date(Date.now() - 3600_000)
    t.same((await revocations.revocationsSince(hourAgo)).generations, new Map())
    t.equal(await revocations.lowestGeneration(id), undefined)
    await revocations.revoke(id, 2)
    await revocations.revoke(UNKNOWN_ID, 7)
    await revocations.revoke(id, 3)
    t.same(
      (await revocations.revocationsSince(hourAgo)).generations,
      new Map([
        [id, 3],
        [UNKNOWN_ID, 7],
      ]),
    )
    t.equal(await revocations.lowestGeneration(id), 3)
    await createAccountsRepository(db).delete(id)
    t.equal((await revocations.revocationsSince(hourAgo)).generations.get(id), 3)
    const later = await revocations.revocationsSince(new Date(Date.now() + 60_000))
    t.same(later.generations, new Map(), 'none is later')
  })

  t.test(
    'a read with a cursor returns the revocations that were committed after the previous read',
    async (t) => {
      const revocations = createRevocationsRepository(db)
      const since = new Date(Date.now() - 3600_000)
      const { cursor } = await revocations.revocationsSince(since)
      await revocations.revoke(LATE_ID, 2)
      const next = await revocations.revocationsSince(since, cursor)
      t.equal(next.generations.get(LATE_ID), 2)
      await revocations.revoke(LATE_ID, 3)
      const last = await revocations.revocationsSince(since, next.cursor)
      t.equal(last.generations.get(LATE_ID), 3, 'a revocation that replaces an earlier one')
      const none = await revocations.revocationsSince(since, last.cursor)
      t.equal(none.generations.size, 0)
    },
  )

  t.test('a cursor of a database that was ahead of this one returns all revocations', async (t) => {
    const revocations = createRevocationsRepository(db)
    await revocations.revoke(LATE_ID, 4)
    const since = new Date(Date.now() - 3600_000)
    const { cursor, generations } = await revocations.revocationsSince(since)
    const ahead = String(BigInt(cursor) + 1_000_000n)
    t.strictSame((await revocations.revocationsSince(since, ahead)).generations, generations)
  })
})

t.test('a revocation is not missed if it is committed long after it was written', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const revocations = createRevocationsRepository(db)
  const since = new Date(Date.now() - 3600_000)
  let { cursor } = await revocations.revocationsSince(since)
  await db.transaction().execute(async (tx) => {
    await createRevocationsRepository(tx).revoke(LATE_ID, 2)
    for (const id of [UNKNOWN_ID, UNKNOWN_ID]) {
      await revocations.revoke(id, 7)
      const read = await revocations.revocationsSince(since, cursor)
      t.strictSame([...read.generations], [[UNKNOWN_ID, 7]])
      cursor = read.cursor
    }
  })
  const { generations } = await revocations.revocationsSince(since, cursor)
  t.equal(generations.get(LATE_ID), 2)
})
