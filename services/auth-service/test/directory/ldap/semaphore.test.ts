import t from 'tap'
import { createSemaphore } from '../../../src/directory/ldap/semaphore.ts'

const late = () => new Error('too late')
const inTime = () => performance.now() + 60_000

t.test('so many at once, in turn', async (t) => {
  const slots = createSemaphore(2)
  const [begun, ends] = [[] as number[], [] as (() => void)[]]
  const run = (number: number) =>
    slots.run(inTime(), late, () => {
      begun.push(number)
      return new Promise<number>((resolve) => ends.push(() => resolve(number)))
    })
  const running = [1, 2, 3, 4].map(run)
  await Promise.resolve()
  t.strictSame(begun, [1, 2])
  ends[0]?.()
  t.equal(await running[0], 1)
  t.strictSame(begun, [1, 2, 3])
  ends[1]?.()
  await running[1]
  for (const end of ends) end()
  await running[2]
  for (const end of ends) end()
  t.equal(await running[3], 4)
})

t.test('who comes too late leaves, and holds up nobody', async (t) => {
  const slots = createSemaphore(1)
  let end = () => {}
  const first = slots.run(inTime(), late, () => new Promise<void>((resolve) => (end = resolve)))
  await t.rejects(
    slots.run(performance.now() - 1, late, async () => t.fail('it was not to run')),
    /too late/,
  )
  const next = slots.run(inTime(), late, async () => 'next')
  end()
  await first
  t.equal(await next, 'next')
})

t.test('a place is given back by what fails', async (t) => {
  const slots = createSemaphore(1)
  const fail = async () => {
    throw new Error('a fault')
  }
  for (const _ of [1, 2]) await t.rejects(slots.run(inTime(), late, fail), /a fault/)
  t.equal(await slots.run(inTime(), late, async () => 'fine'), 'fine')
})
