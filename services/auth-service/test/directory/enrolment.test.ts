import t from 'tap'
import { createEnrolment } from '../../src/directory/enrolment.ts'
import type { Directory, Looked } from '../../src/directory/directory.ts'
import { DirectoryUnavailable } from '../../src/directory/directory.ts'

const neverAsked: Directory['verify'] = () => {
  throw new Error('nobody signs in here')
}
const finding = (looked: Looked) => createEnrolment({ find: async () => looked, verify: neverAsked })

t.test('only whom the directory knows becomes a directory user', async (t) => {
  const person = { dn: 'CN=alice', state: 'disabled', groups: [] } as const
  t.match(await finding({ outcome: 'found', person })('alice'), { standing: { state: 'disabled' } })
  t.match(await finding({ outcome: 'gone' })('alice'), { fault: { field: 'username', detail: /is not in/ } })
  t.match(await finding({ outcome: 'ambiguous' })('alice'), {
    fault: { field: 'username', detail: /more than one/ },
  })
})

t.test('where nobody can be looked up', async (t) => {
  t.match(await createEnrolment(undefined)('alice'), {
    fault: { field: 'ad', detail: 'cannot be true: no directory is configured (DIRECTORY_URL)' },
  })
  t.match(await createEnrolment({ find: undefined, verify: neverAsked })('alice'), {
    fault: { field: 'ad', detail: /DIRECTORY_BIND_DN/ },
  })
})

t.test('a directory that is away has not said no', async (t) => {
  const find = async () => {
    throw new DirectoryUnavailable('no server answers')
  }
  await t.rejects(createEnrolment({ find, verify: neverAsked })('alice'), DirectoryUnavailable)
})
