import { ServiceCallError, createMetrics } from '@registry-manager/http'
import type { Test } from 'tap'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { createReconcileSchedule } from '../../src/reconcile/index.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { MANIFEST, databaseForTest, image } from '../fixtures/index-and-registry.ts'
import { refused, startReconcile } from '../fixtures/reconcile.ts'

const [ONE, TWO] = [image('one'), image('two')]
const db = await databaseForTest(t)

async function start(t: Test, intervalSeconds: number) {
  const started = await startReconcile(db)
  const { registry } = started
  const lines: string[] = []
  const log = (_fields: object, line: string) => void lines.push(line)
  const text = (fields: object | string, line?: string) =>
    typeof fields === 'string' ? void lines.push(fields) : log(fields, line ?? '')
  const metrics = createMetrics('image-manager')
  const schedule = createReconcileSchedule({
    db,
    createRegistry: () => registry,
    concurrency: 1,
    groupSize: 1,
    intervalSeconds,
    log: { info: text, warn: text } as never,
    metrics,
  })
  t.teardown(schedule.stop)
  const metric = async (name: string) => {
    const line = (await metrics.registry.metrics()).split('\n').find((line) => line.startsWith(name))
    return Number(line?.split(' ').at(-1))
  }
  return { ...started, schedule, lines, metric }
}

const items = (what: string) => `reconcile_items_total{what="${what}"`

t.test('the schedule adopts a registry at the start and repairs later differences', async (t) => {
  const { registry, schedule, lines, contents, metric } = await start(t, 1)
  registry.push(ONE, MANIFEST, 'v1')
  schedule.start()
  await until(async () => 'team/app' in (await contents()), 'adopted')
  registry.push(TWO, MANIFEST, 'v2', 'another/app')
  registry.repositories.delete('team/app')
  registry.manifests.clear()
  registry.tags.clear()
  await until(async () => JSON.stringify(Object.keys(await contents())) === '["another/app"]', 'repaired')
  await schedule.stop()
  t.ok(lines.some((line) => line.startsWith('reconcile finished: 1 repositories and 1 tags checked')))
  t.equal(await metric(items('manifestsAdopted')), 2)
  t.equal(await metric(items('tagsRemoved')), 1)
  t.ok((await metric('reconcile_runs_total{outcome="finished"')) >= 1)
  t.ok((await metric('reconcile_last_finished_timestamp_seconds')) > 1_700_000_000)
  t.equal(await metric('reconcile_running'), 0)
})

t.test('no run starts if one finished within the interval', async (t) => {
  const { registry, run, schedule, contents, announce, pendingPushes, agePendingPushes } = await start(
    t,
    3600,
  )
  await run()
  registry.push(ONE, MANIFEST, 'v1', 'late/app')
  await announce(TWO, null)
  await agePendingPushes()
  schedule.start()
  await until(async () => (await pendingPushes()) === 0, 'the pending push is recovered nevertheless')
  await schedule.stop()
  t.same(await contents(), {})
})

t.test('without an interval the schedule only recovers unfinished work', async (t) => {
  const { registry, schedule, contents, metric, lines, ...pushes } = await start(t, 0)
  const { announce, pendingPushes, agePendingPushes } = pushes
  registry.push(ONE, MANIFEST, 'v1', 'another/app')
  registry.push(ONE, MANIFEST, 'v1')
  await announce(ONE, 'v1')
  await agePendingPushes()
  schedule.start()
  await until(async () => (await pendingPushes()) === 0, 'the pending push is recovered')
  await schedule.stop()
  t.same(Object.keys(await contents()), ['team/app'])
  t.equal(await metric(items('pushesRecovered')), 1)
  t.ok(lines.includes('unfinished pushes and deletions recovered'))
})

t.test('the schedule logs failures and retries them', async (t) => {
  const { registry, schedule, lines, contents, metric } = await start(t, 1)
  registry.push(ONE, MANIFEST, 'v1')
  registry.push(TWO, MANIFEST, 'bad')
  registry.before = () => {
    throw new ServiceCallError('unavailable', { dependency: 'registry' })
  }
  schedule.start()
  await until(() => lines.some((line) => line.includes('interrupted')), 'the interruption is logged')
  t.ok((await metric('reconcile_runs_total{outcome="failed"')) >= 1)
  registry.before = (call) => (call.endsWith(' bad') ? refused() : undefined)
  await until(async () => 'team/app' in (await contents()), 'the run is resumed')
  await until(
    () => lines.some((line) => line.includes('an item of background work failed')),
    'the failed item is logged',
  )
  await schedule.stop()
})

t.test('a stopped schedule stops at once, and the next run resumes from the saved position', async (t) => {
  const { registry, run, schedule, lines, contents, metric } = await start(t, 3600)
  for (const name of ['a', 'b', 'c']) registry.push(ONE, MANIFEST, 'v1', name)
  const reached = Promise.withResolvers<void>()
  registry.before = (call) => {
    if (call !== 'GET tags b') return
    reached.resolve()
    registry.before = () => undefined
  }
  schedule.start()
  await reached.promise
  await schedule.stop()
  t.same(Object.keys(await contents()), ['a'])
  t.ok(lines.includes('reconcile stopped; the next run resumes from the saved position'))
  t.equal(await metric('reconcile_runs_total{outcome="stopped"'), 1)
  registry.calls.splice(0)
  t.ok(await run(), 'the lease is free')
  t.notOk(registry.calls.includes('GET tags a'))
})

t.test('the service reconciles over HTTP and can be closed during a run', async (t) => {
  const { ask, registry, internalApp } = await startImageManager(t, undefined, 1)
  registry.push(ONE, MANIFEST, 'v1')
  await until(async () => (await ask('/team/app', { as: 'alice' })).statusCode === 200, 'adopted')
  t.match((await ask('/team/app', { as: 'alice' })).json().tags, [{ name: 'v1' }])
  const metric = /^reconcile_items_total\{what="manifestsAdopted"[^}]*\} 1$/m
  await until(async () => metric.test((await internalApp.inject('/metrics')).body), 'counted')
  const reached = Promise.withResolvers<void>()
  registry.before = () => {
    reached.resolve()
    // The registry never responds.
    return new Promise(() => {})
  }
  await reached.promise
  await internalApp.close()
})
