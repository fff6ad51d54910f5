import type { Database } from '@registry-manager/database'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import { deleteRepository } from '../../src/delete/delete-repositories.ts'
import { createPush } from '../../src/push/index.ts'
import { createQuotas } from '../../src/quotas/index.ts'
import { countUsage } from '../../src/quotas/count-usage.ts'
import type { Quota } from '../../src/quotas/quota.ts'
import { NO_QUOTA } from '../../src/quotas/quota.ts'
import { createUsageCountsRepository } from '../../src/quotas/usage-counts-repository.ts'
import { INDEX, MANIFEST, indexOf, startIndex } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import type { Layer } from '../fixtures/usage.ts'
import { imageOf, layerDigest, readCounts, recompute } from '../fixtures/usage.ts'

async function start(db: Database) {
  const index = await startIndex(db)
  await sql`delete from namespace_usage`.execute(db)
  await sql`delete from namespace_blobs`.execute(db)
  const { quotas, withinQuota } = createQuotas(db)
  const push = withinQuota(createPush(index.ports))
  const announce = (repository: string, raw: Buffer, tag = 'latest', type = MANIFEST) =>
    push.announce({ repository, reference: { tag }, type, raw })
  return {
    ...index,
    quotas,
    push,
    announce,
    /** Pushes as registry-proxy does. */
    async pushImage(repository: string, label: string, ...layers: readonly Layer[]) {
      const raw = imageOf(label, ...layers)
      const announced = await announce(repository, raw, label)
      if (announced.outcome !== 'announced') return announced
      for (const [name] of layers) index.registry.blobs.add(layerDigest(name))
      index.registry.push(raw, MANIFEST, label, repository)
      await push.record(announced.id)
      return announced
    },
    limit: (namespace: string, quota: Partial<Quota>) =>
      quotas.setQuota(namespace, { ...NO_QUOTA, ...quota }),
    bytesOf: async (namespace: string) => (await quotas.findUsage(namespace)).bytes,
    async count() {
      await countUsage({ usageCounts: createUsageCountsRepository(db) }, new AbortController().signal)
    },
    async events(action: string) {
      const { rows } = await sql<{ name: string; detail: object }>`
        select target ->> 'name' as name, detail from events where action = ${action} order by id`.execute(db)
      return rows
    },
  }
}

await onBothDatabases(t, async (t, db) => {
  t.test('a namespace uses each digest once, with the greatest stated size', async (t) => {
    const { pushImage, bytesOf } = await start(db)
    const sizes = (...labels: string[]) => labels.map((label) => imageOf(label, ['base', 1000]).length)
    await pushImage('team/a', 'one', ['base', 1000])
    await pushImage('team/b', 'two', ['base', 1000])
    await pushImage('other/a', 'one', ['base', 1000])
    const [one = 0, two = 0] = sizes('one', 'two')
    t.equal(await bytesOf('team'), 1000 + one + two, 'a layer of two repositories counts once')
    t.equal(await bytesOf('other'), 1000 + one, 'and once in each namespace')
    const raw = imageOf('lie', ['base', 1500])
    await pushImage('team/a', 'lie', ['base', 1500])
    t.equal(await bytesOf('team'), 1500 + one + two + raw.length)
    await pushImage('plain', 'one', ['base', 1000])
    t.same(await readCounts(db), await recompute(db), 'a repository without a slash has no namespace')
  })

  t.test('a push above the quota is refused with the usage, the limit and the needed bytes', async (t) => {
    const { pushImage, limit, bytesOf, pendingRows } = await start(db)
    await pushImage('team/a', 'first', ['base', 1000])
    const used = await bytesOf('team')
    await limit('team', { bytes: 2000 })
    const refused = await pushImage('team/b', 'second', ['base', 1000], ['more', 900])
    const needed = 900 + imageOf('second', ['base', 1000], ['more', 900]).length
    t.match(refused, {
      outcome: 'refused',
      code: 'DENIED',
      message: `the quota of team is exceeded: it uses ${used} of 2000 bytes, and this push needs ${needed} more`,
      detail: { quota: { namespace: 'team', resource: 'bytes', used, limit: 2000, needed } },
    })
    t.equal(await bytesOf('team'), used, 'a refused push is charged nothing')
    t.same(await pendingRows(), [], 'and leaves nothing')
    t.match(
      await pushImage('team/a', 'first', ['base', 1000]),
      { outcome: 'announced' },
      'a known image fits',
    )
    await limit('team', { bytes: 10 })
    t.match(await pushImage('team/a', 'first', ['base', 1000]), { outcome: 'announced' })
    t.match(await pushImage('other/a', 'second', ['more', 900]), { outcome: 'announced' })
    await limit('team', {})
    t.match(await pushImage('team/b', 'second', ['base', 1000], ['more', 900]), { outcome: 'announced' })
    t.same(await readCounts(db), await recompute(db))
  })

  t.test('the quota limits the number of repositories', async (t) => {
    const { pushImage, limit, ports, quotas } = await start(db)
    await limit('team', { repositories: 1 })
    await pushImage('team/a', 'one', ['base', 10])
    const detail = { quota: { namespace: 'team', resource: 'repositories', used: 1, limit: 1, needed: 1 } }
    t.match(await pushImage('team/b', 'one', ['base', 10]), { outcome: 'refused', code: 'DENIED', detail })
    t.match(await pushImage('team/a', 'two', ['base', 10]), { outcome: 'announced' })
    t.equal((await quotas.findUsage('team')).repositories, 1)
    await deleteRepository(ports, 'team/a')
    t.same(await readCounts(db), [], 'the deletion of a repository gives back everything')
    t.match(await pushImage('team/b', 'one', ['base', 10]), { outcome: 'announced' })
  })

  t.test('a push that the registry refuses gives its charge back', async (t) => {
    const { announce, push, bytesOf, limit } = await start(db)
    const raw = imageOf('one', ['base', 1000])
    await limit('team', { bytes: 1000 + raw.length, repositories: 1 })
    const announced = await announce('team/a', raw)
    t.match(announced, { outcome: 'announced' })
    t.equal(await bytesOf('team'), 1000 + raw.length, 'charged from the announcement on')
    t.match(await announce('team/b', raw), { outcome: 'refused' })
    if (announced.outcome === 'announced') await push.discard(announced.id)
    t.same(await readCounts(db), [])
    t.match(await announce('team/b', raw), { outcome: 'announced' })
  })

  t.test(
    'the deletion of a manifest reduces the usage by the blobs that no other manifest of the namespace references',
    async (t) => {
      const { pushImage, ports, bytesOf } = await start(db)
      await pushImage('team/a', 'one', ['base', 1000], ['own', 500])
      await pushImage('team/b', 'two', ['base', 1000])
      const raw = imageOf('one', ['base', 1000], ['own', 500])
      const before = await bytesOf('team')
      const revision = await ports.manifests.findRevision('team/a', digestOf(raw))
      t.equal(await ports.manifests.removeManifest('team/a', digestOf(raw), revision ?? ''), true)
      t.equal(await bytesOf('team'), before - 500 - raw.length)
      t.same(await readCounts(db), await recompute(db))
    },
  )

  t.test('an image index counts itself, and its images count once', async (t) => {
    const { pushImage, announce, bytesOf } = await start(db)
    await pushImage('team/a', 'one', ['base', 1000])
    const before = await bytesOf('team')
    const raw = indexOf(imageOf('one', ['base', 1000]))
    t.match(await announce('team/a', raw, 'all', INDEX), { outcome: 'announced' })
    t.equal(await bytesOf('team'), before + raw.length)
  })

  t.test('crossing a soft limit has one event, until the usage is below the limit again', async (t) => {
    const { pushImage, limit, events, ports, bytesOf } = await start(db)
    await limit('team', { softBytes: 1000 })
    await pushImage('team/a', 'small', ['base', 10])
    t.same(await events('quota.soft-limit'), [])
    await pushImage('team/a', 'big', ['big', 2000])
    const used = await bytesOf('team')
    const event = { name: 'team', detail: { used, limit: 1000 } }
    t.same(await events('quota.soft-limit'), [event])
    await pushImage('team/a', 'bigger', ['big', 2000])
    t.same(await events('quota.soft-limit'), [event], 'the next push says nothing')
    for (const label of ['big', 'bigger']) {
      const digest = digestOf(imageOf(label, ['big', 2000]))
      const revision = await ports.manifests.findRevision('team/a', digest)
      await ports.manifests.removeManifest('team/a', digest, revision ?? '')
    }
    await pushImage('team/a', 'big', ['big', 2000])
    t.equal((await events('quota.soft-limit')).length, 2)
    t.equal((await events('quota.update')).length, 1)
  })

  t.test('existing content is counted in steps, while pushes and deletions go on', async (t) => {
    const { pushImage, ports, limit, count, quotas } = await start(db)
    for (const label of ['one', 'two', 'three'])
      await pushImage('team/a', label, ['base', 1000], [label, 100])
    await pushImage('other/a', 'one', ['base', 7])
    // As the migration leaves it: nothing is counted.
    await sql`update namespace_usage set bytes = 0, counted_below = ''`.execute(db)
    await sql`delete from namespace_blobs`.execute(db)
    await limit('team', { bytes: 100_000 })
    t.match(await quotas.findUsage('team'), { bytes: 0, counting: true })
    const usageCounts = createUsageCountsRepository(db)
    const uncounted = { namespace: 'team', countedBelow: '', manifests: 3 }
    await usageCounts.countBelow(uncounted, 'sha256:8')
    await usageCounts.countBelow(uncounted, null)
    t.match(await quotas.findUsage('team'), { counting: true }, 'a process that is late does nothing')
    await pushImage('team/a', 'four', ['base', 1000], ['four', 100])
    const digest = digestOf(imageOf('two', ['base', 1000], ['two', 100]))
    const revision = await ports.manifests.findRevision('team/a', digest)
    await ports.manifests.removeManifest('team/a', digest, revision ?? '')
    await limit('team', { bytes: 1 })
    await pushImage('team/b', 'five', ['base', 1000])
    await count()
    t.same(await readCounts(db), await recompute(db))
    t.match(await quotas.findUsage('team'), { counting: false })
  })

  t.test('a recount repairs wrong counts', async (t) => {
    const { pushImage, quotas, count, events } = await start(db)
    await pushImage('team/a', 'one', ['base', 1000])
    await sql`update namespace_usage set bytes = 17, repositories = 9`.execute(db)
    await sql`update namespace_blobs set uses = 5, size = size + 1`.execute(db)
    await sql`insert into namespace_blobs values ('team', ${layerDigest('nothing')}, 50, 1)`.execute(db)
    await quotas.requestRecount('team')
    await quotas.requestRecount('team')
    t.match(await quotas.findUsage('team'), { counting: true })
    await count()
    t.same((await readCounts(db)).length, 1)
    t.same(await events('quota.recount'), [{ name: 'team', detail: {} }])
    const { rows } = await sql<{ bytes: string }>`
      select sum(size)::text as bytes from namespace_blobs where uses = 1`.execute(db)
    t.equal(Number(rows[0]?.bytes), (await recompute(db))[0]?.bytes)
    t.same(await readCounts(db), await recompute(db))
  })
})
