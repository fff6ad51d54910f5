import Fastify from 'fastify'
import type { Test } from 'tap'
import t from 'tap'
import { contentsRoutes } from '../../src/contents/routes.ts'
import type { StorageUsagePorts } from '../../src/contents/storage-usage.ts'
import { createStorageUsage } from '../../src/contents/storage-usage.ts'
import { startImageManager } from '../fixtures/image-manager.ts'

const { askInternal, fill } = await startImageManager(t)
const PAGE = 'offset=0&limit=10&orderBy=name'

/** The route of the usage, counted by a function. */
async function startUsage(t: Test, sumBytes: () => Promise<number>, now: StorageUsagePorts['now']) {
  const app = Fastify()
  t.teardown(() => app.close())
  const none = async () => ({ items: [], total: 0 })
  await app.register(contentsRoutes, {
    listContents: { repositories: none, artifacts: none },
    storageUsage: createStorageUsage({ contents: { sumBytes }, now }),
  })
  return async () => (await app.inject({ url: '/internal/contents/usage' })).json()
}

t.test('the contents are served only to services', async (t) => {
  for (const what of [`repositories?${PAGE}`, `artifacts?${PAGE}`, 'usage']) {
    t.equal((await askInternal(`/internal/contents/${what}`)).statusCode, 200, what)
    t.equal((await askInternal(`/internal/contents/${what}`, 'Bearer nonsense')).statusCode, 401, what)
  }
})

t.test('repositories are listed with counts and times, by search and in pages', async (t) => {
  await fill({ 'team/a': 'namespace', 'team/b': 'global', alpine: 'namespace' })
  const { repositories, total } = (
    await askInternal(`/internal/contents/repositories?${PAGE}&search=team`)
  ).json()
  t.equal(total, 2)
  const TIME = /^\d{4}-.*Z$/
  t.match(repositories, [
    { name: 'team/a', artifacts: 0, createdAt: TIME, pushedAt: TIME },
    { name: 'team/b', artifacts: 0 },
  ])
  const one = await askInternal('/internal/contents/repositories?offset=1&limit=1&orderBy=-name')
  t.match(one.json(), { repositories: [{ name: 'team/a' }], total: 3 })
})

t.test('artifacts of a repository that does not exist get 404', async (t) => {
  t.equal((await askInternal(`/internal/contents/artifacts?${PAGE}&repository=team/none`)).statusCode, 404)
  const none = await askInternal(`/internal/contents/artifacts?${PAGE}&repository=team/a`)
  t.strictSame(none.json(), { artifacts: [], total: 0 })
})

t.test('an invalid page gets 400', async (t) => {
  for (const query of ['', 'offset=0', 'offset=-1&limit=10&orderBy=', 'offset=0&limit=x&orderBy=']) {
    t.equal((await askInternal(`/internal/contents/repositories?${query}`)).statusCode, 400, query)
  }
})

t.test('usage is counted every five minutes, and the previous figure stays if a count fails', async (t) => {
  const world = { now: Date.parse('2026-11-21T12:00:00Z'), counted: 0, fault: undefined as Error | undefined }
  const sumBytes = async () => {
    world.counted += 1
    if (world.fault !== undefined) throw world.fault
    return world.counted * 1000
  }
  const ask = await startUsage(t, sumBytes, () => world.now)
  const first = { bytes: 1000, updatedAt: '2026-11-21T12:00:00.000Z' }
  t.strictSame([await ask(), await ask()], [first, first])
  t.equal(world.counted, 1)
  world.now += 300_000
  const second = { bytes: 2000, updatedAt: '2026-11-21T12:05:00.000Z' }
  t.strictSame(await ask(), second)
  world.now += 300_000
  world.fault = new Error('statement timeout')
  t.strictSame([await ask(), await ask()], [second, second])
  t.equal(world.counted, 3, 'a failed count is not retried at once')
})

t.test(
  'usage responds with the previous figure while a count takes long, and with the new one later',
  async (t) => {
    const counted = Promise.withResolvers<number>()
    const ask = await startUsage(
      t,
      () => counted.promise,
      () => Date.parse('2026-11-21T12:00:00Z'),
    )
    t.strictSame(
      await ask(),
      { bytes: null, updatedAt: null },
      'the response comes before auth-service gives up',
    )
    counted.resolve(7)
    await counted.promise
    t.strictSame(await ask(), { bytes: 7, updatedAt: '2026-11-21T12:00:00.000Z' })
  },
)
