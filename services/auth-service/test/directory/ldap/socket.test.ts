import type { LookupFunction } from 'node:net'
import t from 'tap'
import { createSharedLookup } from '../../../src/directory/ldap/socket.ts'

type Callback = Parameters<LookupFunction>[2]

t.test('a name is lookup up once at a time, for everybody who waits', async (t) => {
  const asked: { hostname: string; callback: Callback }[] = []
  const lookup = createSharedLookup((hostname, _options, callback) => asked.push({ hostname, callback }))
  const answers: unknown[] = []
  const ask = (hostname: string, family = 0) =>
    lookup(hostname, { family }, (...answer) => answers.push(answer))
  ask('dc1')
  ask('dc1')
  ask('dc2')
  ask('dc1', 6)
  t.strictSame(
    asked.map(({ hostname }) => hostname),
    ['dc1', 'dc2', 'dc1'],
  )
  asked[0]?.callback(null, '127.0.0.1', 4)
  t.strictSame(answers, [
    [null, '127.0.0.1', 4],
    [null, '127.0.0.1', 4],
  ])
  ask('dc1')
  t.equal(asked.length, 4, 'and anew afterwards')
  const failure = new Error('ENOTFOUND')
  asked[3]?.callback(failure, '')
  t.strictSame(answers.at(-1), [failure, ''], 'failures are told too')
})
