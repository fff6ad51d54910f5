import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'

function build(options: { maxAgeMs?: number; maxEntries?: number } = {}) {
  const clock = { now: 1_000_000 }
  const memory = createCredentialCache<string>({
    key: randomBytes(32),
    now: () => clock.now,
    maxAgeMs: 1000,
    maxEntries: 3,
    ...options,
  })
  return { clock, memory }
}

t.test('what was remembered is recalled by the same secret, and by no other', async (t) => {
  const { memory } = build({ maxEntries: 100 })
  memory.remember(['password', 'alice', 'b c'], 'found')
  t.equal(memory.recall(['password', 'alice', 'b c']), 'found')
  const others = [
    ['password', 'alice', 'b', 'c'],
    ['password', 'alice b', 'c'],
    ['password', 'aliceb c'],
    ['password', 'alice', 'B c'],
    ['refresh-token', 'alice', 'b c'],
    ['password', 'alice', ''],
    ['password', 'alice'],
    [],
  ]
  for (const other of others) t.equal(memory.recall(other), undefined, JSON.stringify(other))
})

t.test('nothing is recalled when it is too old', async (t) => {
  const { clock, memory } = build()
  memory.remember(['a'], 'found')
  clock.now += 1000
  t.equal(memory.recall(['a']), 'found', 'just in time')
  clock.now += 1
  t.equal(memory.recall(['a']), undefined)
  memory.remember(['a'], 'again')
  t.equal(memory.recall(['a']), 'again', 'until it is remembered anew')
})

t.test('recalling does not make it younger', async (t) => {
  const { clock, memory } = build()
  memory.remember(['a'], 'found')
  for (const _ of [1, 2]) {
    clock.now += 600
    memory.recall(['a'])
  }
  t.equal(memory.recall(['a']), undefined)
})

t.test('the longest unremembered gives way when there are too many', async (t) => {
  const { memory } = build()
  for (const secret of ['a', 'b', 'c', 'a', 'd']) memory.remember([secret], secret)
  t.same(
    ['a', 'b', 'c', 'd'].map((secret) => memory.recall([secret])),
    ['a', undefined, 'c', 'd'],
  )
})

t.test('a new value takes the place of the old one', async (t) => {
  const { memory } = build()
  memory.remember(['a'], 'one')
  memory.remember(['a'], 'two')
  t.equal(memory.recall(['a']), 'two')
})

t.test('with no grace at all, nothing is kept beyond the moment', async (t) => {
  const { clock, memory } = build({ maxAgeMs: 0 })
  memory.remember(['a'], 'found')
  clock.now += 1
  t.equal(memory.recall(['a']), undefined)
})
