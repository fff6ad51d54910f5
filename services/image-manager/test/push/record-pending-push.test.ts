import t from 'tap'
import { syncTag } from '../../src/index/sync-tag.ts'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { MANIFEST, REPOSITORY, image, startIndex, databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)
const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]

t.test('a pending push that the registry has is recorded and ends', async (t) => {
  const { ports, registry, announce, tags, manifests, pendingPushes } = await startIndex(db)
  const pending = await announce(ONE, 'latest')
  registry.push(ONE, MANIFEST, 'latest')
  t.equal((await recordOrUndoPush(ports, pending))?.digest, one)
  t.same(await tags(), { latest: one })
  t.same(await manifests(), [one])
  t.equal(await pendingPushes(), 0)

  t.equal((await recordOrUndoPush(ports, pending))?.digest, one, 'recording it again changes nothing')
  t.same(await tags(), { latest: one })
})

t.test('a pending push that the registry does not have is not recorded and ends', async (t) => {
  const { ports, index, announce, tags, manifests, pendingPushes } = await startIndex(db)
  t.equal(await recordOrUndoPush(ports, await announce(ONE, 'latest')), undefined)
  t.same(await tags(), {})
  t.same(await manifests(), [])
  t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
  t.equal(await pendingPushes(), 0)
})

t.test('a manifest pushed by digest is recorded without a tag', async (t) => {
  const { ports, registry, announce, tags, manifests } = await startIndex(db)
  const pending = await announce(ONE, null)
  registry.push(ONE, MANIFEST)
  await recordOrUndoPush(ports, pending)
  t.same(await manifests(), [one])
  t.same(await tags(), {})
})

for (const last of ['one', 'two'] as const) {
  for (const order of ['in order', 'in reverse order', 'at the same time'] as const) {
    t.test(
      `after two pushes of a tag, ${last} last, recorded ${order}, the index has the registry's digest`,
      async (t) => {
        const { ports, registry, announce, tags, manifests, pendingPushes } = await startIndex(db)
        const pending = [await announce(ONE, 'latest'), await announce(TWO, 'latest')]
        const pushes = last === 'two' ? [ONE, TWO] : [TWO, ONE]
        for (const raw of pushes) registry.push(raw, MANIFEST, 'latest')
        if (order === 'in reverse order') pending.reverse()
        if (order === 'at the same time') {
          await Promise.all(pending.map((one) => recordOrUndoPush(ports, one)))
        } else {
          for (const one of pending) await recordOrUndoPush(ports, one)
        }
        t.same(await tags(), { latest: last === 'two' ? two : one })
        t.same(await manifests(), [one, two].toSorted())
        t.equal(await pendingPushes(), 0)
      },
    )
  }
}

t.test('a tag that changes between the registry’s response and the write is synced again', async (t) => {
  const { ports, registry, announce, tags } = await startIndex(db)
  for (const known of [false, true]) {
    registry.push(ONE, MANIFEST, 'latest')
    if (known) await syncTag(ports, REPOSITORY, 'latest')
    const late = await announce(ONE, 'latest')
    const other = await announce(TWO, 'latest')
    // Another replica records a push between the registry's response and the write.
    registry.after = async (call) => {
      if (call !== 'HEAD manifest latest') return
      registry.after = () => undefined
      registry.push(TWO, MANIFEST, 'latest')
      await recordOrUndoPush(ports, other)
    }
    await recordOrUndoPush(ports, late)
    t.same(await tags(), { latest: two }, known ? 'an existing tag' : 'a new tag')
  }
})

t.test(
  'syncing a tag that was pushed directly to the registry records its manifest from the registry',
  async (t) => {
    const { ports, registry, tags, manifests } = await startIndex(db)
    registry.push(ONE, MANIFEST, 'latest')
    await syncTag(ports, REPOSITORY, 'latest')
    t.same(await tags(), { latest: one })
    t.same(await manifests(), [one])
    t.ok(registry.calls.includes(`GET manifest ${one}`))
  },
)

t.test('syncing a tag that the registry lost removes the tag and leaves its manifest', async (t) => {
  const { ports, registry, tags, manifests } = await startIndex(db)
  registry.push(ONE, MANIFEST, 'latest')
  await syncTag(ports, REPOSITORY, 'latest')
  registry.tags.delete('latest')
  await syncTag(ports, REPOSITORY, 'latest')
  t.same(await tags(), {})
  t.same(await manifests(), [one])
})

t.test('recording fails if the tag’s manifest never exists, and the push stays pending', async (t) => {
  const { ports, registry, announce, pendingPushes } = await startIndex(db)
  const pending = await announce(ONE, 'latest')
  const headManifest = async (_: string, reference: string) => (reference === 'latest' ? two : undefined)
  await t.rejects(recordOrUndoPush({ ...ports, registry: { ...registry, headManifest } }, pending), {
    message: /changed during each of 20 tries/,
  })
  t.equal(await pendingPushes(), 1)
})

t.test('recording fails while the registry does not respond, and the push stays pending', async (t) => {
  const { ports, registry, announce, pendingPushes } = await startIndex(db)
  const pending = await announce(ONE, 'latest')
  registry.push(ONE, MANIFEST, 'latest')
  registry.before = () => {
    throw new Error('away')
  }
  await t.rejects(recordOrUndoPush(ports, pending), { message: 'away' })
  t.equal(await pendingPushes(), 1)
})
