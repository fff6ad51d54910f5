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

t.test('a cached value is found by the same secret and by no other', async (t) => {
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

t.test('a cached value expires', async (t) => {
  const { clock, memory } = build()
  memory.remember(['a'], 'found')
  clock.now += 1000
  t.equal(memory.recall(['a']), 'found', 'at the end of its time')
  clock.now += 1
  t.equal(memory.recall(['a']), undefined)
  memory.remember(['a'], 'again')
  t.equal(memory.recall(['a']), 'again', 'a value that is cached again')
})

t.test('a read of a cached value does not extend its time', async (t) => {
  const { clock, memory } = build()
  memory.remember(['a'], 'found')
  for (const _ of [1, 2]) {
    clock.now += 600
    memory.recall(['a'])
  }
  t.equal(memory.recall(['a']), undefined)
})

t.test('the least recently used value is dropped from a full cache', async (t) => {
  const { memory } = build()
  for (const secret of ['a', 'b', 'c', 'a', 'd']) memory.remember([secret], secret)
  t.same(
    ['a', 'b', 'c', 'd'].map((secret) => memory.recall([secret])),
    ['a', undefined, 'c', 'd'],
  )
})

t.test('a new value replaces the cached one of the same key', async (t) => {
  const { memory } = build()
  memory.remember(['a'], 'one')
  memory.remember(['a'], 'two')
  t.equal(memory.recall(['a']), 'two')
})

t.test('a maximum age of zero caches nothing beyond the same millisecond', async (t) => {
  const { clock, memory } = build({ maxAgeMs: 0 })
  memory.remember(['a'], 'found')
  clock.now += 1
  t.equal(memory.recall(['a']), undefined)
})
