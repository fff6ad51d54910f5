import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceCallError } from '@registry-manager/http'
import { isRegistryOverloaded } from '@registry-manager/registry-client'
import t from 'tap'
import { createPace } from '../../src/reconcile/pace-requests.ts'
import { createMemoryRegistry } from '../fixtures/memory-registry.ts'

const overloaded = (retryAfterSeconds?: number) =>
  new ServiceCallError('overloaded', { dependency: 'registry', status: 429, retryAfterSeconds })

/** A registry whose requests are counted, and the pauses that were made for it. */
function start(limit: number) {
  const registry = createMemoryRegistry()
  const load = { running: 0, most: 0 }
  registry.before = async () => {
    load.running += 1
    load.most = Math.max(load.most, load.running)
    await sleep(1)
  }
  registry.after = () => void (load.running -= 1)
  const pauses: number[] = []
  const pause = async (ms: number) => {
    pauses.push(ms)
    await sleep(10)
  }
  return {
    registry,
    load,
    pauses,
    paced: createPace({ limit, isOverload: isRegistryOverloaded, pause })(registry),
  }
}

const inParallel = (count: number, call: () => Promise<unknown>) =>
  Promise.all(Array.from({ length: count }, call))

t.test('no more requests than the limit are in progress', async (t) => {
  for (const limit of [1, 4]) {
    const { paced, load, registry } = start(limit)
    await inParallel(30, () => paced.listTags('a'))
    t.equal(load.most, limit)
    t.equal(registry.calls.length, 30)
  }
})

t.test('an overloaded registry gets pauses that double, and fewer requests at the same time', async (t) => {
  const { paced, registry, load, pauses } = start(8)
  const { before } = registry
  let refusals = 3
  registry.before = async (call) => {
    if (refusals > 0) {
      refusals -= 1
      throw overloaded()
    }
    await before(call)
  }
  t.same(await paced.listTags('a'), [], 'the request is retried')
  t.same(pauses, [1000, 2000, 4000])
  await inParallel(3, () => paced.listTags('a'))
  t.equal(load.most, 2, 'eight requests became one, and two after a success')
  await inParallel(200, () => paced.listTags('a'))
  t.equal(load.most, 8, 'successes raise the number again')
})

t.test('requests that fail together cause one pause', async (t) => {
  const { paced, registry, pauses } = start(4)
  let refusals = 4
  registry.before = async () => {
    await sleep(1)
    refusals -= 1
    if (refusals >= 0) throw overloaded()
  }
  await inParallel(4, () => paced.listTags('a'))
  t.same(pauses, [1000])
})

t.test('a pause is at least the Retry-After of the registry, and at most 30 seconds', async (t) => {
  const { paced, registry, pauses } = start(2)
  const refusals = [overloaded(7), overloaded(3600)]
  registry.before = () => {
    const refusal = refusals.shift()
    if (refusal !== undefined) throw refusal
  }
  await paced.listTags('a')
  t.same(pauses, [7000, 30_000])
})

t.test('a request is sent five times at most, and one that changes the registry once', async (t) => {
  const { paced, registry, pauses } = start(2)
  let sent = 0
  registry.before = () => {
    sent += 1
    throw overloaded()
  }
  await t.rejects(paced.headManifest('a', 'v1'), { message: 'overloaded' })
  t.equal(sent, 5)
  await t.rejects(paced.deleteManifest('a', 'sha256:x'), { message: 'overloaded' })
  t.equal(sent, 6)
  t.equal(pauses.length, 6, 'the registry is relieved nevertheless')
})

t.test('other errors are not retried and cause no pause', async (t) => {
  const { paced, registry, pauses } = start(2)
  for (const status of [500, 502, undefined]) {
    registry.before = () => {
      throw new ServiceCallError('broken', { dependency: 'registry', status })
    }
    await t.rejects(paced.listTags('a'), { message: 'broken' })
  }
  t.same(pauses, [])
})

t.test('a stop during a pause ends the request', async (t) => {
  const registry = createMemoryRegistry()
  registry.before = () => {
    throw overloaded()
  }
  const pause = async () => Promise.reject(new Error('stopped'))
  const paced = createPace({ limit: 2, isOverload: isRegistryOverloaded, pause })(registry)
  await t.rejects(paced.listTags('a'), { message: 'stopped' })
})
