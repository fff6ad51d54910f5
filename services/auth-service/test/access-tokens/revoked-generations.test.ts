import t from 'tap'
import { createRevokedGenerations } from '../../src/access-tokens/revoked-generations.ts'

const entriesOf = (...entries: readonly (readonly [string, number])[]) => new Map(entries)

t.test('equal revocation lists have equal fingerprints, whatever their history', async (t) => {
  const [one, other] = [createRevokedGenerations(), createRevokedGenerations()]
  t.equal(one.generations.fingerprint(), other.generations.fingerprint(), 'empty')
  one.raise('a', 2)
  one.raise('b', 3)
  one.raise('a', 4)
  other.replace(entriesOf(['c', 9], ['b', 3]))
  t.not(one.generations.fingerprint(), other.generations.fingerprint())
  other.replace(entriesOf(['b', 3], ['a', 4]))
  t.strictSame([...one.generations].toSorted(), [...other.generations].toSorted())
  t.equal(one.generations.fingerprint(), other.generations.fingerprint())
})

t.test('every change of a revocation list changes its fingerprint', async (t) => {
  const { generations, raise, replace } = createRevokedGenerations()
  const seen = new Set([generations.fingerprint()])
  const steps = [
    () => raise('a', 2),
    () => raise('b', 2),
    () => raise('a', 3),
    () => replace(entriesOf(['a', 3])),
    () => replace(entriesOf(['a', 2], ['b', 3])),
  ]
  for (const step of steps) {
    step()
    seen.add(generations.fingerprint())
  }
  t.equal(seen.size, steps.length + 1)
  raise('b', 1)
  t.equal(generations.get('b'), 3, 'a lower generation is ignored')
  t.ok(seen.has(generations.fingerprint()))
})
