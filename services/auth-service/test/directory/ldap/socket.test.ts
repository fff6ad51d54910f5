import type { LookupFunction } from 'node:net'
import t from 'tap'
import { createSharedLookup } from '../../../src/directory/ldap/socket.ts'

type Callback = Parameters<LookupFunction>[2]

t.test('concurrent DNS lookups of a name are shared', async (t) => {
  const requests: { hostname: string; callback: Callback }[] = []
  const lookup = createSharedLookup((hostname, _options, callback) => requests.push({ hostname, callback }))
  const answers: unknown[] = []
  const ask = (hostname: string, family = 0) =>
    lookup(hostname, { family }, (...answer) => answers.push(answer))
  ask('dc1')
  ask('dc1')
  ask('dc2')
  ask('dc1', 6)
  t.strictSame(
    requests.map(({ hostname }) => hostname),
    ['dc1', 'dc2', 'dc1'],
  )
  requests[0]?.callback(null, '127.0.0.1', 4)
  t.strictSame(answers, [
    [null, '127.0.0.1', 4],
    [null, '127.0.0.1', 4],
  ])
  ask('dc1')
  t.equal(requests.length, 4, 'a later lookup is a new one')
  const failure = new Error('ENOTFOUND')
  requests[3]?.callback(failure, '')
  t.strictSame(answers.at(-1), [failure, ''], 'a failed lookup fails for every caller')
})
