import { ServiceCallError } from '@registry-manager/http'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createFailuresRepository } from '../../src/reconcile/failures-repository.ts'
import { createDatabaseReconciler } from '../../src/reconcile/index.ts'
import type { ItemFailure } from '../../src/reconcile/work-item.ts'
import { INDEX, MANIFEST, REPOSITORY, image } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { refused, startReconcile } from '../fixtures/reconcile.ts'

const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
const [ONE, TWO, BAD] = [image('one'), image('two'), image('bad')]
const [one, two, bad] = [digestOf(ONE), digestOf(TWO), digestOf(BAD)]

/** The manifest that once stopped reconcile for a whole installation: 16,383 foreign layers. */
const FOREIGN = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: DOCKER,
    layers: Array.from({ length: 16_383 }, (_, at) => ({
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      digest: `sha256:${at.toString(16).padStart(64, '0')}`,
      size: 1,
      urls: [`https://layers.test/${at}`],
    })),
  }),
)
const MANY = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: Array.from({ length: 5000 }, (_, at) => ({
      mediaType: MANIFEST,
      digest: `sha256:${at.toString(16).padStart(64, '0')}`,
      size: 1,
    })),
  }),
)

await onBothDatabases(t, async (t, db) => {
  // A row that the database refuses unless it is pending.
  await sql
    .raw(
      `create function refuse() returns trigger language plpgsql as
        'begin if new.digest = ''${bad}'' and new.state <> ''pending'' then raise exception ''this row is refused''; end if; return new; end'`,
    )
    .execute(db)
  await sql`create trigger refuse before insert or update on all_manifests for each row execute function refuse()`.execute(
    db,
  )
  const failures = createFailuresRepository(db)
  const start = async () => {
    const started = await startReconcile(db)
    const heard: ItemFailure[] = []
    const listener = {
      taken: () => {},
      progress: () => {},
      failed: (failure: ItemFailure) => void heard.push(failure),
    }
    const reconciler = createDatabaseReconciler({
      db,
      createRegistry: () => started.registry,
      concurrency: 1,
      pause: async () => {},
      listener,
    })
    const { signal } = new AbortController()
    return {
      ...started,
      heard,
      recover: () => reconciler.recover(signal),
      run: () => reconciler.run({ signal }),
    }
  }
  const ageDeletions = () =>
    db
      .updateTable('repositories')
      .set({ deleting_since: sql`now() - interval '10 minutes'` })
      .where('deleting_since', 'is not', null)
      .execute()
  const makeDue = () =>
    db
      .updateTable('background_failures')
      .set({ retry_at: sql`now()` })
      .execute()
  const listDelays = async () => {
    const { rows } = await sql<{ kind: string; tries: number; minutes: string }>`
      select kind, tries, round(extract(epoch from retry_at - now()) / 60) as minutes
      from background_failures order by kind`.execute(db)
    return rows.map(({ kind, tries, minutes }) => [kind, tries, Number(minutes)])
  }

  t.test('a pending push that always fails does not block other pushes or deletions', async (t) => {
    const { registry, announce, recover, run, index, pendingPushes, contents, heard, agePendingPushes } =
      await start()
    registry.push(TWO, MANIFEST, 'v1', 'gone/app')
    await run()
    await index.deletions.beginDeletion('gone/app')
    await ageDeletions()
    await announce(BAD, 'bad')
    registry.push(BAD, MANIFEST, 'bad')
    await announce(ONE, 'good')
    registry.push(ONE, MANIFEST, 'good')
    await agePendingPushes()
    t.match(await recover(), { pushesRecovered: 1, deletionsFinished: 1, failures: 1 })
    t.same(await contents(), { [REPOSITORY]: { tags: { good: one }, manifests: [one] } })
    t.equal(await pendingPushes(), 1, 'the failed push stays pending')
    t.match(heard, [{ kind: 'push', repository: REPOSITORY, reference: 'bad', tries: 1, retryAt: Date }])
    t.match(heard[0]?.error, { message: /this row is refused/ })
    t.match(await recover(), { failures: 0 }, 'it is not retried before it is due')
  })

  t.test('the garbage collection waits while an image is not adopted, even if a run skips it', async (t) => {
    const { registry, run, index } = await start()
    registry.push(BAD, MANIFEST, 'bad')
    t.match(await run(), { counts: { failures: 1 } })
    t.match(await run(), { counts: { failures: 0 } }, 'the image is not due')
    t.match(await index.unreferenced.beginReview(), { isReconciled: false })
    await failures.deleteFailure({ kind: 'manifest', item: `${REPOSITORY} bad` })
    t.match(await index.unreferenced.beginReview(), { isReconciled: true })
  })

  t.test('the retry delay of an item doubles with every failure, up to a day', async (t) => {
    const { registry, announce, recover, heard, agePendingPushes } = await start()
    await announce(BAD, 'bad')
    registry.push(BAD, MANIFEST, 'bad')
    await agePendingPushes()
    const seen: unknown[] = []
    for (let tries = 1; tries <= 14; tries++) {
      await makeDue()
      await recover()
      seen.push(...(await listDelays()))
    }
    t.same(
      seen,
      [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440].map((minutes, at) => [
        'push',
        at + 1,
        minutes,
      ]),
    )
    t.equal(heard.at(-1)?.tries, 14)
    t.same([...(await failures.countFailures())], [['push', 1]])
  })

  t.test('the failure of an item is deleted when the item succeeds', async (t) => {
    const { registry, announce, recover, agePendingPushes } = await start()
    await announce(ONE, 'v1')
    await agePendingPushes()
    registry.before = refused
    t.match(await recover(), { failures: 1 })
    registry.before = () => undefined
    registry.push(ONE, MANIFEST, 'v1')
    await makeDue()
    t.match(await recover(), { pushesRecovered: 1 })
    t.same([...(await failures.countFailures())], [])
  })

  t.test('reconcile skips content that it cannot record and visits all repositories', async (t) => {
    const { registry, run, contents, heard } = await start()
    for (const name of ['a/a', 'b/b', 'c/c']) registry.push(ONE, MANIFEST, 'good', name)
    registry.push(FOREIGN, DOCKER, 'foreign', 'b/b')
    registry.push(MANY, INDEX, 'many', 'b/b')
    registry.push(BAD, MANIFEST, 'bad', 'b/b')
    const repaired = { tags: { good: one }, manifests: [one] }
    t.match((await run())?.counts, { repositories: 3, manifestsAdopted: 3, failures: 3 })
    t.same(await contents(), { 'a/a': repaired, 'b/b': repaired, 'c/c': repaired })
    t.same(
      heard.map(({ kind, repository, reference }) => [kind, repository, reference]),
      ['foreign', 'many', 'bad'].map((tag) => ['manifest', 'b/b', tag]),
    )
    t.match(String(heard[0]?.error), /4096 descriptors/)

    registry.push(TWO, MANIFEST, 'good', 'c/c')
    registry.calls.splice(0)
    t.match((await run())?.counts, { tagsChanged: 1, failures: 0 }, 'other differences are repaired')
    t.notOk(registry.calls.includes('GET manifest foreign'), 'a failed item is not retried before it is due')

    registry.repositories.get('b/b')?.tags.delete('foreign')
    registry.push(TWO, MANIFEST, 'many', 'b/b')
    await makeDue()
    await run()
    t.same(
      [...(await failures.countFailures())],
      [['manifest', 1]],
      'failures of repaired and removed items are deleted',
    )
    t.match(await contents(), { 'b/b': { tags: { good: one, many: two } } })
  })

  t.test('a repository that fails as a whole does not block the others', async (t) => {
    const { registry, run, contents, heard } = await start()
    for (const name of ['a/a', 'b/b', 'c/c']) registry.push(ONE, MANIFEST, 'v1', name)
    registry.before = (call) => (call === 'GET tags b/b' ? refused() : undefined)
    t.match((await run())?.counts, { failures: 1 })
    t.same(Object.keys(await contents()), ['a/a', 'c/c'])
    t.match(heard, [{ kind: 'repository', repository: 'b/b', reference: '' }])
    registry.before = () => undefined
    await run()
    t.same([...(await failures.countFailures())], [])
  })

  t.test('deletions are finished even if pending pushes cannot be listed', async (t) => {
    const { registry, recover, run, index, contents, heard } = await start()
    registry.push(TWO, MANIFEST, 'v1', 'gone/app')
    await run()
    await index.deletions.beginDeletion('gone/app')
    await ageDeletions()
    await sql`alter table pending_pushes rename to pending_pushes_elsewhere`.execute(db)
    t.teardown(() => sql`alter table if exists pending_pushes_elsewhere rename to pending_pushes`.execute(db))
    t.match(await recover(), { deletionsFinished: 1, failures: 1 })
    await sql`alter table pending_pushes_elsewhere rename to pending_pushes`.execute(db)
    t.match(heard, [{ kind: 'push', repository: '', tries: 1 }])
    t.same(await contents(), {})
  })

  t.test('an unavailable registry ends the run and counts as a failure of no item', async (t) => {
    const { registry, run, recover, announce, agePendingPushes } = await start()
    registry.push(ONE, MANIFEST, 'v1')
    await announce(ONE, 'v1')
    await agePendingPushes()
    for (const status of [undefined, 401, 429, 502, 503, 504]) {
      registry.before = () => {
        throw new ServiceCallError('unavailable', { dependency: 'registry', status })
      }
      await t.rejects(recover(), { message: 'unavailable' })
      await t.rejects(run(), { message: 'unavailable' })
    }
    t.same([...(await failures.countFailures())], [])
  })

  t.test('an unavailable database ends the run and counts as a failure of no item', async (t) => {
    const { run, registry } = await start()
    registry.push(ONE, MANIFEST, 'v1')
    registry.before = (call) => {
      if (call === `GET tags ${REPOSITORY}`)
        throw Object.assign(new Error('shutting down'), { code: '57P01' })
    }
    await t.rejects(run(), { message: 'shutting down' })
    t.same([...(await failures.countFailures())], [])
  })

  t.test('characters that Postgres cannot store are replaced', async (t) => {
    await start()
    const item = {
      kind: 'manifest',
      item: `a\0b \ud800 ${'x'.repeat(5000)}`,
      repository: 'a\0',
      reference: '\ud800',
    } as const
    const delays = { firstSeconds: 60, maxSeconds: 3600 }
    t.match(await failures.recordFailure(item, `\0${'y'.repeat(9999)}`, delays), { tries: 1 })
    t.match(await failures.recordFailure(item, 'again', delays), { tries: 2 })
    await failures.deleteFailure(item)
    t.same([...(await failures.countFailures())], [])
  })
})
