import t from 'tap'
import { until } from '../src/until.ts'

t.test('until() ends as soon as its condition holds', async (t) => {
  let calls = 0
  await until(async () => ++calls === 3)
  t.equal(calls, 3)
})

t.test('until() fails at its deadline and names its condition', async (t) => {
  await t.rejects(
    until(() => false, 'the moon is full', 0.05),
    { message: 'timed out after 0.05 s: the moon is full' },
  )
  const isOpen = false
  await t.rejects(
    until(() => isOpen, undefined, 0.05),
    /timed out after 0\.05 s: \(\) => isOpen/,
  )
})

t.test('until() fails with the error of its condition', async (t) => {
  await t.rejects(
    until(() => Promise.reject(new Error('refused'))),
    { message: 'refused' },
  )
})
