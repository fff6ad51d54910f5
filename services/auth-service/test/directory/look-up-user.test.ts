import t from 'tap'
import type { DirectoryLookup } from '../../src/directory/directory.ts'
import { DirectoryUnavailable } from '../../src/directory/directory.ts'
import { createLookUpUser } from '../../src/directory/look-up-user.ts'

const lookUp = (lookup: DirectoryLookup) => createLookUpUser({ find: async () => lookup })('alice')

t.test('a lookup of a user returns the directory state of the one entry that matches', async (t) => {
  const entry = { dn: 'CN=alice', state: 'disabled', groups: [] } as const
  t.match(await lookUp({ outcome: 'found', entry }), { directoryState: { state: 'disabled' } })
  t.match(await lookUp({ outcome: 'gone' }), {
    fault: { field: 'username', detail: 'matches no directory entry' },
  })
  t.match(await lookUp({ outcome: 'ambiguous' }), {
    fault: { field: 'username', detail: 'matches more than one directory entry' },
  })
})

t.test('a lookup of a user without a service account names the missing setting', async (t) => {
  t.match(await createLookUpUser({ find: undefined })('alice'), {
    fault: { field: 'ad', detail: /DIRECTORY_BIND_DN/ },
  })
})

t.test('a lookup of a user fails while the directory is unavailable', async (t) => {
  const find = async () => {
    throw new DirectoryUnavailable('no server responds')
  }
  await t.rejects(createLookUpUser({ find })('alice'), DirectoryUnavailable)
})
