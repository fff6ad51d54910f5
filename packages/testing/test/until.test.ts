import t from 'tap'
import { until } from '../src/until.ts'

t.test('a wait ends as soon as its condition holds', async (t) => {
  let asked = 0
  await until(async () => ++asked === 3)
  t.equal(asked, 3)
})

t.test('a wait whose condition never holds fails at its deadline and names the condition', async (t) => {
  await t.rejects(
    until(() => false, 'the moon is full', 0.05),
    { message: 'not so after 0.05 s: the moon is full' },
  )
  const isOpen = false
  await t.rejects(
    until(() => isOpen, undefined, 0.05),
    /not so after 0\.05 s: \(\) => isOpen/,
  )
})

t.test('a wait whose condition throws fails with that error', async (t) => {
  await t.rejects(
    until(() => Promise.reject(new Error('refused'))),
    { message: 'refused' },
  )
})
