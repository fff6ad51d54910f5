import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceCallError } from '@registry-manager/http'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { deleteManifest } from '../../src/delete/delete-manifest.ts'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { INDEX, MANIFEST, image, indexOf } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { parsed, reachableIn, refused, startReconcile } from '../fixtures/reconcile.ts'

const [ONE, TWO] = [image('one'), image('two')]
const NAMES = Array.from({ length: 40 }, (_, at) => `team-${at % 5}/app-${Math.floor(at / 5)}`).toSorted()

await onBothDatabases(t, async (t, db) => {
  const start = async () => {
    const started = await startReconcile(db)
    const { registry } = started
    registry.pageSize = 12
    for (const [at, name] of NAMES.entries()) {
      registry.push(image(name), MANIFEST, 'latest', name)
      registry.push(ONE, MANIFEST, 'v1', name)
      if (at % 10 === 0) registry.push(indexOf(ONE, image(name)), INDEX, 'multi', name)
    }
    let calls = 0
    // Requests finish in another order than they are sent.
    const shuffle = () => sleep((calls++ * 7) % 4)
    registry.after = shuffle
    return { ...started, shuffle }
  }

  t.test('index and counts are the same at every concurrency', async (t) => {
    const results: unknown[] = []
    for (const [concurrency, groupSize] of [
      [1, 1],
      [3, 16],
      [16, 3],
    ] as const) {
      const { registry, run, contents, index } = await start()
      await index.manifests.putManifest('only/indexed', parsed(ONE))
      const done = await run({ concurrency, groupSize })
      t.same(await contents(), reachableIn(registry))
      t.match(done?.counts, {
        repositories: 41,
        tags: 84,
        manifestsAdopted: 84,
        tagsChanged: 84,
        failures: 0,
      })
      results.push(done?.counts)
    }
    t.same(results[1], results[0])
    t.same(results[2], results[0])
  })

  t.test('adoption of a tag costs one request, besides one for the tags of its repository', async (t) => {
    const { run } = await start()
    const requests = (await run({ concurrency: 8 }))?.counts.registryRequests
    t.equal(requests, 4 + 40 + 84, 'pages of the catalog, lists of tags, tags')
  })

  t.test('an item that fails among concurrent ones is recorded, and all others are adopted', async (t) => {
    const { registry, run, contents, heard, shuffle } = await start()
    const [first = '', second = ''] = [NAMES[7], NAMES[23]]
    const expected = reachableIn(registry)
    delete expected[second]
    registry.push(Buffer.from('no JSON'), MANIFEST, 'bad', first)
    registry.before = (call) => (call === `GET tags ${second}` ? refused() : shuffle())
    t.match((await run({ concurrency: 8 }))?.counts, { repositories: 39, failures: 2 })
    t.same(heard.failed.toSorted(), [`${first} bad`, `${second} `])
    t.same(await contents(), expected)
    const rows = await db
      .selectFrom('background_failures')
      .select(['repository', 'reference', 'tries'])
      .execute()
    t.same(rows.map(({ reference }) => reference).toSorted(), ['', 'bad'])
  })

  t.test('a run that is stopped among concurrent repositories is resumed without a gap', async (t) => {
    const { registry, run, contents, heard, shuffle } = await start()
    const stopping = new AbortController()
    const [slow = '', last = ''] = [NAMES[14], NAMES[30]]
    registry.after = async (call) => {
      if (call === `GET tags ${slow}`)
        await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve))
      if (call === `GET tags ${last}`) stopping.abort(new Error('stop'))
      await shuffle()
    }
    await t.rejects(run({ concurrency: 4, signal: stopping.signal }), { message: 'stop' })
    t.ok(NAMES.slice(0, 14).every((name) => registry.calls.includes(`GET tags ${name}`)))
    registry.after = shuffle
    registry.calls.splice(0)
    const done = await run({ concurrency: 4 })
    t.equal(heard.taken[1]?.id, heard.taken[0]?.id)
    t.equal(heard.taken[1]?.lastName, NAMES[13], 'the position is before the repository that is not finished')
    t.notOk(
      registry.calls.includes(`GET tags ${NAMES[13]}`),
      'repositories that were finished before it are not listed again',
    )
    t.equal(done?.counts.repositories, 40, 'no repository is counted twice')
    t.same(await contents(), reachableIn(registry))
  })

  t.test('a registry that becomes unavailable among concurrent repositories ends the run', async (t) => {
    const { registry, run, contents, shuffle } = await start()
    registry.before = (call) => {
      if (call !== `GET tags ${NAMES[20]}`) return
      throw new ServiceCallError('unavailable', { dependency: 'registry' })
    }
    await t.rejects(run({ concurrency: 4 }), { message: 'unavailable' })
    t.ok(registry.calls.length < 100, 'no further repository is begun')
    registry.before = shuffle
    t.match((await run({ concurrency: 4 }))?.counts, { repositories: 40, failures: 0 })
    t.same(await contents(), reachableIn(registry))
  })

  t.test('a registry that responds 503 for a while gets pauses, and the run continues', async (t) => {
    const { registry, run, contents } = await start()
    let [calls, paused] = [0, 0]
    registry.before = () => {
      calls += 1
      if (calls % 50 < 3) throw new ServiceCallError('overloaded', { dependency: 'registry', status: 503 })
    }
    const pause = async () => void (paused += 1)
    t.match((await run({ concurrency: 8, pause }))?.counts, { repositories: 40, failures: 0 })
    t.ok(paused > 0)
    t.same(await contents(), reachableIn(registry))
  })

  t.test('pushes and deletions of repositories that are being adopted agree with the registry', async (t) => {
    const { registry, run, contents, ports, announce, shuffle, pendingPushes } = await start()
    const works: Promise<unknown>[] = []
    const push = async (name: string) => {
      const pending = await announce(TWO, 'v1', MANIFEST, name)
      await registry.putManifest(name, 'v1', { raw: TWO, mediaType: MANIFEST })
      await recordOrUndoPush(ports, pending)
    }
    registry.before = (call) => {
      const at = NAMES.findIndex((name) => call === `GET tags ${name}`)
      const name = NAMES[at] ?? ''
      if (at >= 0 && at % 3 === 0) works.push(shuffle().then(() => push(name)))
      if (at >= 0 && at % 3 === 1)
        works.push(shuffle().then(() => deleteManifest(ports, name, digestOf(ONE))))
    }
    t.match((await run({ concurrency: 8 }))?.counts, { failures: 0 })
    await Promise.all(works)
    t.ok(works.length > 20)
    t.equal(await pendingPushes(), 0)
    const index = await contents()
    for (const [name, { tags }] of Object.entries(reachableIn(registry)))
      t.same(index[name]?.tags, tags, name)
    for (const [name, { manifests }] of Object.entries(index)) {
      const stored = registry.repositories.get(name)?.manifests
      t.same(
        manifests.filter((digest) => stored?.has(digest) !== true),
        [],
        `${name} has no lost manifest`,
      )
    }
  })
})
