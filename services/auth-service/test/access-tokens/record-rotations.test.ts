import { createRecordEvents } from '@registry-manager/events'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { createRecordRotations } from '../../src/access-tokens/record-rotations.ts'
import { createSigningKeysRepository } from '../../src/access-tokens/signing-keys-repository.ts'
import { AUTH_SERVICE } from '../../src/principals/principal.ts'

await onBothDatabases(t, async (t, db) => {
  const transactions = { count: 0, fails: false }
  /** A replica that signs with one key after another. */
  const createReplica = (first: string, retired?: string) => {
    const key = { id: first, retired }
    return {
      signWith: (id: string) => void Object.assign(key, { id, retired: key.id }),
      record: createRecordRotations({
        currentKeyId: () => key.id,
        retiredKeyId: () => key.retired,
        inTransaction: (work) =>
          db.transaction().execute(async (tx) => {
            transactions.count += 1
            await work({
              ...createSigningKeysRepository(tx),
              recordEvents: createRecordEvents(tx, { principal: AUTH_SERVICE }),
            })
            if (transactions.fails) throw new Error('the commit failed')
          }),
      }),
    }
  }
  const rotations = async () => {
    const events = await db.selectFrom('events').selectAll().orderBy('id').execute()
    for (const event of events) {
      t.match(event, { action: 'keys.rotate', principal_kind: 'service', principal_name: 'auth-service' })
      t.match(event.target, { kind: 'signing-keys', name: 'signing keys' })
    }
    return events.map(({ detail }) => detail)
  }
  const replicas = [createReplica('key-1'), createReplica('key-1'), createReplica('key-1')]
  const recordAll = () => Promise.all(replicas.map(({ record }) => record()))

  await t.test('the first key of an installation is no rotation', async (t) => {
    await recordAll()
    t.same(await rotations(), [])
  })

  await t.test('a rotation is recorded once, although every replica notices it', async (t) => {
    for (const { signWith } of replicas) signWith('key-2')
    await recordAll()
    t.same(await rotations(), [{ keyId: 'key-2' }])
    const before = transactions.count
    await recordAll()
    t.equal(transactions.count, before, 'a key that is recorded costs no query')
  })

  await t.test('a replica that still reads the old key, and one that starts, record nothing', async (t) => {
    await createReplica('key-1').record()
    await createReplica('key-2').record()
    t.same(await rotations(), [{ keyId: 'key-2' }])
  })

  await t.test('a rotation that could not be recorded is recorded by the next attempt', async (t) => {
    const [replica = createReplica('key-3')] = replicas
    replica.signWith('key-3')
    transactions.fails = true
    await t.rejects(replica.record(), { message: 'the commit failed' })
    t.same(await rotations(), [{ keyId: 'key-2' }])
    transactions.fails = false
    await replica.record()
    t.same(await rotations(), [{ keyId: 'key-2' }, { keyId: 'key-3' }])
  })

  await t.test(
    'at the first start, the old key of a replica that has not read the new one is no rotation',
    async (t) => {
      const startFirst = async (...both: readonly ReturnType<typeof createReplica>[]) => {
        await db.deleteFrom('events').execute()
        await db.deleteFrom('signing_keys').execute()
        for (const { record } of both) await record()
        return rotations()
      }
      const createBoth = () => [createReplica('key-2', 'key-1'), createReplica('key-1', 'key-0')] as const
      const [current, late] = createBoth()
      t.same(await startFirst(current, late), [])
      late.signWith('key-2')
      current.signWith('key-3')
      await late.record()
      await current.record()
      t.same(await rotations(), [{ keyId: 'key-3' }], 'later rotations are recorded')
      t.same(await startFirst(...createBoth().toReversed()), [{ keyId: 'key-2' }], 'the new key is one')
    },
  )
})
