import t from 'tap'
import { createTokenCache } from '../src/token-cache.ts'

t.test('a token is remembered for so many seconds', async (t) => {
  let now = 1_000_000
  const cache = createTokenCache({ now: () => now, maxEntries: 10 })
  cache.set('key', 'token', 60)
  t.equal(cache.get('key'), 'token')
  now += 59_999
  t.equal(cache.get('key'), 'token')
  now += 1
  t.equal(cache.get('key'), undefined)
  now -= 1
  t.equal(cache.get('key'), undefined, 'what was dropped does not come back')
})

t.test('a token that is about to end is not remembered', async (t) => {
  const cache = createTokenCache({ now: () => 0, maxEntries: 10 })
  cache.set('key', 'token', 0)
  t.equal(cache.get('key'), undefined)
})

t.test('the oldest give way, and what is forgotten is gone', async (t) => {
  const cache = createTokenCache({ now: () => 0, maxEntries: 2 })
  for (const key of ['a', 'b', 'c']) cache.set(key, `token of ${key}`, 60)
  t.equal(cache.get('a'), undefined)
  t.equal(cache.get('b'), 'token of b')
  cache.delete('c')
  t.equal(cache.get('c'), undefined)
})
