import { sql } from 'kysely'
import t from 'tap'
import { registryError } from '@registry-manager/registry-client'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createDeletion } from '../../src/delete/index.ts'
import { createHistory, createHistoryCleanup } from '../../src/history/index.ts'
import { createPush } from '../../src/push/index.ts'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { syncTag } from '../../src/index/sync-tag.ts'
import { IMAGE_MANAGER } from '../../src/service-principal.ts'
import { MANIFEST, REPOSITORY, blobsOf, image, startIndex } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]
const JANE = { kind: 'user', id: '1', name: 'jane' } as const

await onBothDatabases(t, async (t, db) => {
  const start = async () => {
    const started = await startIndex(db)
    const { ports, registry, announce } = started
    const push = async (raw: Buffer, tag: string) => {
      for (const digest of blobsOf(raw)) registry.blobs.add(digest)
      const pending = await announce(raw, tag)
      registry.push(raw, MANIFEST, tag)
      const context = { requestId: 'r', address: null, principal: JANE }
      await recordOrUndoPush(ports, { ...pending, context })
    }
    const manifestBudget = { take: async () => () => {} }
    const { listTagHistory, restoreTag } = createHistory({
      ...ports,
      manifestBudget,
      push: createPush(ports),
    })
    const repository = async () => {
      const found = await ports.repositories.findRepository(REPOSITORY)
      if (found === undefined) throw new Error('there is no repository')
      return found
    }
    const history = async (tag: string) => {
      const { items } = await listTagHistory((await repository()).id, tag, { limit: 100 })
      return items.map(({ digest, previous, startedBy, endedBy, endedAt }) => [
        digest,
        previous,
        startedBy?.name,
        endedAt === null ? null : endedBy?.name,
      ])
    }
    const restore = async (tag: string, target: { at: Date } | { digest: string }) =>
      restoreTag(await repository(), tag, target)
    return { ...started, ...createDeletion(ports, 0), push, history, restore, listTagHistory, repository }
  }
  const now = async () => {
    const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
    await sql`select pg_sleep(0.01)`.execute(db)
    return rows[0]?.now ?? new Date()
  }

  t.test(
    'each push, move, deletion and adoption of a tag is in its history, with its principal',
    async (t) => {
      const { push, history, deleteTag, deleteManifest, registry, ports } = await start()
      await push(ONE, 'v1')
      await push(ONE, 'v1')
      await push(TWO, 'v1')
      await push(ONE, 'other')
      t.strictSame(
        await history('v1'),
        [
          [two, one, 'jane', null],
          [one, null, 'jane', 'jane'],
        ],
        'a repeated push is no change',
      )
      await deleteTag(REPOSITORY, 'v1')
      registry.push(ONE, MANIFEST, 'v1')
      await syncTag(ports, REPOSITORY, 'v1')
      await deleteManifest(REPOSITORY, one)
      const { name } = IMAGE_MANAGER
      t.strictSame(await history('v1'), [
        [one, null, name, name],
        [two, one, 'jane', name],
        [one, null, 'jane', 'jane'],
      ])
      t.strictSame(await history('other'), [[one, null, 'jane', name]])
    },
  )

  t.test('the history of a tag has pages, the newest period first', async (t) => {
    const { push, listTagHistory, repository } = await start()
    for (let nr = 0; nr < 5; nr += 1) await push(image(`image ${nr}`), 'v1')
    const { id } = await repository()
    const all = await listTagHistory(id, 'v1', { limit: 5 })
    t.equal(all.next, null)
    const found: unknown[] = []
    let before: string | undefined
    do {
      const page = await listTagHistory(id, 'v1', { limit: 2, before })
      found.push(...page.items)
      before = page.next ?? undefined
    } while (before !== undefined)
    t.strictSame(found, all.items)
    t.strictSame(
      all.items.map(({ digest }) => digest),
      [4, 3, 2, 1, 0].map((nr) => digestOf(image(`image ${nr}`))),
    )
    for (const [at, { startedAt, endedAt }] of all.items.entries()) {
      t.strictSame(endedAt, all.items[at - 1]?.startedAt ?? null, 'a period ends where the next one starts')
      t.ok(startedAt instanceof Date)
    }
  })

  t.test(
    'a tag is restored to the manifest that it named at a given time, or to a digest of its history',
    async (t) => {
      const { push, restore, tags, history, registry, deleteTag } = await start()
      await push(ONE, 'v1')
      const atOne = await now()
      await push(TWO, 'v1')
      t.strictSame(await restore('v1', { at: atOne }), { outcome: 'restored', digest: one })
      t.strictSame(await tags(), { v1: one })
      t.equal(registry.tags.get('v1'), one)
      t.strictSame(await restore('v1', { digest: two }), { outcome: 'restored', digest: two })
      await deleteTag(REPOSITORY, 'v1')
      const deleted = await now()
      t.strictSame(await restore('v1', { at: deleted }), { outcome: 'unknown' }, 'there was no such tag')
      t.strictSame(await restore('v1', { at: atOne }), { outcome: 'restored', digest: one }, 'a deleted tag')
      t.strictSame(await tags(), { v1: one })
      t.equal((await history('v1')).length, 5)
      t.strictSame(await restore('v1', { digest: digestOf(image('three')) }), { outcome: 'unknown' })
      t.strictSame(await restore('v1', { at: new Date(0) }), { outcome: 'unknown' })
      t.strictSame(await restore('v2', { digest: one }), { outcome: 'unknown' }, 'another tag')
    },
  )

  t.test('a deleted manifest is not restored, and an immutable tag does not move', async (t) => {
    const { push, restore, deleteManifest, index, tags, pendingPushes } = await start()
    await push(ONE, 'v1')
    await push(TWO, 'v1')
    await deleteManifest(REPOSITORY, one)
    t.strictSame(await restore('v1', { digest: one }), { outcome: 'gone', digest: one })
    await push(ONE, 'v1')
    await index.tagRules.replaceRules('team', [{ name: 'all', repositories: 'team/*', tags: '*' }])
    t.match(await restore('v1', { digest: two }), {
      outcome: 'denied',
      reason: /is immutable by the rule all/,
    })
    t.strictSame(await restore('v1', { digest: one }), { outcome: 'restored', digest: one }, 'no move')
    t.strictSame(await tags(), { v1: one })
    t.equal(await pendingPushes(), 0)
  })

  t.test('a restore without an outcome stays pending; one that the registry refuses does not', async (t) => {
    const { push, restore, registry, pendingPushes } = await start()
    await push(ONE, 'v1')
    await push(TWO, 'v1')
    registry.before = (call) => {
      if (call.startsWith('PUT')) throw registryError('PUT returned 400', 400)
    }
    t.strictSame(await restore('v1', { digest: one }), { outcome: 'gone', digest: one })
    t.equal(await pendingPushes(), 0)
    registry.before = () => undefined
    registry.after = (call) => {
      if (call.startsWith('PUT')) throw registryError('PUT got no response')
    }
    await t.rejects(restore('v1', { digest: one }), { message: 'PUT got no response' })
    t.equal(registry.tags.get('v1'), one, 'the registry has moved the tag')
    t.equal(await pendingPushes(), 1, 'the background work records it')
  })

  t.test('a tag that is older than the history has one period with the known facts', async (t) => {
    const { push, history, restore, tags } = await start()
    await push(ONE, 'v1')
    await db.deleteFrom('tag_history').execute()
    t.strictSame(await history('v1'), [[one, null, undefined, null]])
    const before = await now()
    await push(TWO, 'v1')
    t.strictSame(await history('v1'), [
      [two, one, 'jane', null],
      [one, null, undefined, 'jane'],
    ])
    await restore('v1', { at: before })
    t.strictSame(await tags(), { v1: one })
  })

  t.test(
    'periods of the history are removed some days after their end, and the current one stays',
    async (t) => {
      const { push, history, ports } = await start()
      await push(ONE, 'v1')
      await push(TWO, 'v1')
      await push(ONE, 'v1')
      await sql`
      update tag_history set ended_at = ended_at - interval '31 days' where digest = ${one} and ended_at is not null`.execute(
        db,
      )
      const log = { warn: (problem: unknown) => t.fail(String(problem)) }
      const clean = async (days: number) => {
        const work = createHistoryCleanup({ ...ports, days, now: Date.now }, log, 5)
        work.start()
        await new Promise((resolve) => setTimeout(resolve, 300))
        await work.stop()
      }
      await clean(0)
      t.equal((await history('v1')).length, 3, '0 keeps all')
      await clean(30)
      t.strictSame(
        (await history('v1')).map(([digest]) => digest),
        [one, two],
      )
    },
  )

  t.test('a new repository of the same name inherits no history', async (t) => {
    const { push, history, deleteRepository } = await start()
    await push(ONE, 'v1')
    await deleteRepository(REPOSITORY)
    await push(TWO, 'v1')
    t.strictSame(await history('v1'), [[two, null, 'jane', null]])
  })
})
