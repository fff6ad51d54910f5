import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import type { TokenUse } from '../../src/sign-in/last-used.ts'
import { createLastUsedLog } from '../../src/sign-in/last-used.ts'

const EVERY_MS = 20

function build() {
  const world = {
    now: 1000,
    saved: [] as TokenUse[][],
    errors: [] as unknown[],
    fault: undefined as Error | undefined,
  }
  const save = async (uses: readonly TokenUse[]) => {
    if (world.fault !== undefined) throw world.fault
    world.saved.push([...uses])
  }
  const log = createLastUsedLog({
    save,
    now: () => world.now,
    onError: (error) => void world.errors.push(error),
    everyMs: EVERY_MS,
  })
  return { world, log }
}

t.test('last uses are saved in batches, not with each request', async (t) => {
  // Periodic work does not keep a process alive; this timer does.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  const { world, log } = build()
  log.start()
  for (let request = 0; request < 1000; request += 1)
    log.note(`token-${request % 3}`, `10.0.0.${request % 5}`)
  t.strictSame(world.saved, [])
  await until(async () => world.saved.length > 0, 'the first batch is saved')
  t.strictSame(
    world.saved[0]?.map(({ id, address }) => [id, address]).toSorted(),
    [
      ['token-0', '10.0.0.4'],
      ['token-1', '10.0.0.2'],
      ['token-2', '10.0.0.3'],
    ],
    'one entry for each registry token, with its last use',
  )
  await sleep(4 * EVERY_MS)
  t.equal(world.saved.length, 1, 'nothing is saved without a new use')
  log.note('token-9', '10.0.0.1')
  await until(async () => world.saved.length > 1, 'the second batch is saved')
  t.strictSame(world.saved[1], [{ id: 'token-9', at: new Date(1000), address: '10.0.0.1' }])
  await log.stop()
})

t.test('a batch that could not be saved is saved with the next one', async (t) => {
  const { world, log } = build()
  world.fault = new Error('unavailable')
  log.note('a', '10.0.0.1')
  log.note('b', '10.0.0.1')
  await log.stop()
  t.strictSame(world.errors, [world.fault])
  world.fault = undefined
  world.now = 2000
  log.note('b', '10.0.0.2')
  await log.stop()
  t.strictSame(world.saved, [
    [
      { id: 'a', at: new Date(1000), address: '10.0.0.1' },
      { id: 'b', at: new Date(2000), address: '10.0.0.2' },
    ],
  ])
})
