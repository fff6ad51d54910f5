import t from 'tap'
import { createByteBudget } from '../../src/domain/byte-budget.ts'

t.test('bytes are reserved up to the bound, and can be taken again once they are given back', async (t) => {
  const budget = createByteBudget(100, 100)
  const first = budget.take(60)
  t.ok(first)
  t.equal(budget.take(41), undefined)
  t.ok(budget.take(40))
  t.equal(budget.take(1), undefined)
  first?.()
  first?.()
  t.ok(budget.take(60), 'giving back twice gives back once')
  t.equal(budget.take(1), undefined)
})

t.test('an account has a part of them, and others have the rest', async (t) => {
  const budget = createByteBudget(100, 50)
  const first = budget.take(30, 'alice')
  t.equal(budget.take(30, 'alice'), undefined)
  t.ok(budget.take(20, 'alice'))
  t.ok(budget.take(50, 'bob'))
  t.equal(budget.take(1, 'carol'), undefined, 'until all are taken')
  first?.()
  t.ok(budget.take(30, 'alice'))
})

t.test('what is longer than the bound is taken when it is alone', async (t) => {
  const budget = createByteBudget(10, 5)
  const release = budget.take(20, 'alice')
  t.ok(release)
  t.equal(budget.take(1), undefined)
  release?.()
  t.ok(budget.take(1))
})
