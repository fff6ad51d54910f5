import type { Database } from '@registry-manager/database'
import { connectPostgres, isDatabaseUnavailable } from '@registry-manager/database'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createKnownAddresses } from '../../src/sign-in/known-addresses.ts'
import { createKnownAddressesRepository } from '../../src/sign-in/known-addresses-repository.ts'
import { createAccounts } from '../../src/accounts/index.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const createFor = (db: Database, onError: (error: unknown) => void) =>
  createKnownAddresses({
    ...createKnownAddressesRepository(db),
    isUnavailable: isDatabaseUnavailable,
    now: Date.now,
    onError,
  })

await onBothDatabases(t, async (t, db) => {
  const users = createAccounts(db, fakeHasher)
  const create = async (username: string) => {
    const created = await users.create(planUser(username))
    if ('refused' in created) throw new Error(created.refused)
    return created.user.id
  }
  const errors: unknown[] = []
  const open = () => createFor(db, (error) => errors.push(error))

  t.test('every replica knows the addresses that were saved', async (t) => {
    const [alice, bob] = [await create('alice'), await create('bob')]
    const addresses = open()
    for (const address of ['192.0.2.1', '2001:db8::/64', '192.0.2.1']) addresses.note(alice, address)
    await addresses.stop()
    const known = async (id: string, address: string) => open().isKnown(id, address)
    t.equal(await known(alice, '192.0.2.1'), true)
    t.equal(await known(alice, '2001:db8::/64'), true)
    t.equal(await known(alice, '192.0.2.2'), false)
    t.equal(await known(bob, '192.0.2.1'), false)
    addresses.note(alice, '192.0.2.1')
    await addresses.stop()
    t.same(errors, [], 'an address can be saved several times')
  })

  t.test('a deleted account does not prevent the addresses of other accounts from being saved', async (t) => {
    const [carol, dave] = [await create('carol'), await create('dave')]
    const addresses = open()
    addresses.note(carol, '192.0.2.1')
    addresses.note(dave, '192.0.2.1')
    await users.delete('carol')
    await addresses.stop()
    t.same(errors, [])
    t.equal(await open().isKnown(dave, '192.0.2.1'), true)
  })

  t.test('known addresses are deleted with their account', async (t) => {
    const erin = await create('erin')
    const addresses = open()
    addresses.note(erin, '192.0.2.1')
    await addresses.stop()
    await users.delete('erin')
    t.equal(await open().isKnown(erin, '192.0.2.1'), false)
  })
})

t.test(
  'no address is known while the database is unavailable, and recorded ones are saved later',
  async (t) => {
    const db = connectPostgres('postgres://registry@127.0.0.1:1/postgres')
    t.teardown(() => db.destroy())
    const errors: unknown[] = []
    const addresses = createFor(db, (error) => errors.push(error))
    addresses.note('0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11', '192.0.2.1')
    t.equal(await addresses.isKnown('0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11', '192.0.2.1'), false)
    for (const count of [1, 2]) {
      await addresses.stop()
      t.equal(errors.length, count, 'a retry')
    }
  },
)
