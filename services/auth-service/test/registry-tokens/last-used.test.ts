import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { TokenUse } from '../../src/registry-tokens/last-used.ts'
import { createTokenUseLog } from '../../src/registry-tokens/last-used.ts'

function build() {
  const world = {
    now: 1000,
    written: [] as TokenUse[][],
    errors: [] as unknown[],
    fault: undefined as Error | undefined,
  }
  const write = async (uses: readonly TokenUse[]) => {
    if (world.fault !== undefined) throw world.fault
    world.written.push([...uses])
  }
  const log = createTokenUseLog(
    write,
    () => world.now,
    (error) => void world.errors.push(error),
  )
  return { world, log }
}

t.test('nothing is written while requests come in; then all of them at once', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const pass = async (milliseconds: number) => {
    mock.timers.tick(milliseconds)
    await turn()
  }
  const { world, log } = build()
  log.start()
  for (let request = 0; request < 1000; request += 1)
    log.note(`token-${request % 3}`, `10.0.0.${request % 5}`)
  t.strictSame(world.written, [])
  await pass(5000)
  t.equal(world.written.length, 1)
  t.strictSame(
    world.written[0]?.map(({ id, address }) => [id, address]).toSorted(),
    [
      ['token-0', '10.0.0.4'],
      ['token-1', '10.0.0.2'],
      ['token-2', '10.0.0.3'],
    ],
    'each with its last use',
  )
  await pass(20_000)
  t.equal(world.written.length, 1, 'nothing new, nothing written')
  log.note('token-9', '10.0.0.1')
  await pass(5000)
  t.strictSame(world.written[1], [{ id: 'token-9', at: new Date(1000), address: '10.0.0.1' }])
  await log.stop()
})

t.test('what could not be written is written next time', async (t) => {
  const { world, log } = build()
  world.fault = new Error('away')
  log.note('a', '10.0.0.1')
  log.note('b', '10.0.0.1')
  await log.stop()
  t.strictSame(world.errors, [world.fault])
  world.fault = undefined
  world.now = 2000
  log.note('b', '10.0.0.2')
  await log.stop()
  t.strictSame(world.written, [
    [
      { id: 'a', at: new Date(1000), address: '10.0.0.1' },
      { id: 'b', at: new Date(2000), address: '10.0.0.2' },
    ],
  ])
})
