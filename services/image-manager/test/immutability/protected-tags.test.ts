import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createDeletion } from '../../src/delete/index.ts'
import { createPush } from '../../src/push/index.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  blobsOf,
  image,
  indexBySha512,
  indexOf,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import { digestOf, sha512Of } from '../fixtures/memory-registry.ts'

const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]
const RULES = [{ name: 'releases', repositories: 'team/*', tags: '*', except: ['latest'] }]
const BY = { rule: 'releases', namespace: 'team' }

await onBothDatabases(t, async (t, db) => {
  const start = async () => {
    const started = await startIndex(db)
    const { registry, ports, index } = started
    const { announce, record } = createPush(ports)
    const announceOf = (raw: Buffer, reference: { tag: string } | { digest: string }, type = MANIFEST) =>
      announce({ repository: REPOSITORY, reference, type, raw })
    /** Pushes as registry-proxy does. Returns the outcome of the announcement. */
    const push = async (raw: Buffer, tag: string, type = MANIFEST) => {
      if (type === MANIFEST) for (const digest of blobsOf(raw)) registry.blobs.add(digest)
      const announced = await announceOf(raw, { tag }, type)
      if (announced.outcome !== 'announced') return announced
      registry.push(raw, type, tag)
      await record(announced.id)
      return announced
    }
    await index.tagRules.replaceRules('team', RULES)
    return { ...started, ...createDeletion(ports, 0), push, announce: announceOf, record }
  }
  const refusal = (tag: string, digest: string) => ({
    outcome: 'refused',
    code: 'DENIED',
    message: `the tag ${tag} of team/app is immutable by the rule releases of the namespace team, and names ${digest}`,
    detail: { ...BY, tag, digest },
  })

  t.test(
    'a push that would move an immutable tag is refused; the same digest and exceptions are not',
    async (t) => {
      const { push, tags, pendingPushes, pendingRows } = await start()
      t.match(await push(ONE, 'v1'), { outcome: 'announced' })
      t.match(await push(ONE, 'latest'), { outcome: 'announced' })
      t.strictSame(await push(TWO, 'v1'), refusal('v1', one))
      t.match(await push(ONE, 'v1'), { outcome: 'announced' }, 'the same digest again')
      t.match(await push(TWO, 'latest'), { outcome: 'announced' }, 'an exception')
      t.match(await push(TWO, 'v2'), { outcome: 'announced' }, 'a new tag')
      t.strictSame(await tags(), { v1: one, v2: two, latest: two })
      t.equal(await pendingPushes(), 0)
      t.strictSame(await pendingRows(), [])
    },
  )

  t.test('of pushes of a new immutable tag at the same time exactly one passes', async (t) => {
    const { announce, record, registry, pendingPushes, tags } = await start()
    const images = Array.from({ length: 12 }, (_, nr) => image(`image ${nr}`))
    const outcomes = await Promise.all(images.map((raw) => announce(raw, { tag: 'v1' })))
    const passed = outcomes.flatMap((one) => (one.outcome === 'announced' ? [one] : []))
    t.equal(passed.length, 1, 'one passes')
    t.equal(await pendingPushes(), 1)
    const [{ id, digest } = { id: '', digest: '' }] = passed
    const refusals = outcomes.filter(({ outcome }) => outcome !== 'announced')
    t.match(
      refusals,
      refusals.map(() => refusal('v1', digest)),
      'other pushes are refused with the digest that the tag will have',
    )
    registry.push(images.find((raw) => digestOf(raw) === digest) ?? ONE, MANIFEST, 'v1')
    await record(id)
    t.strictSame(await tags(), { v1: digest })
  })

  t.test('an immutable tag is free again when its first push was refused by the registry', async (t) => {
    const { announce, push, ports, tags } = await start()
    const announced = await announce(ONE, { tag: 'v1' })
    t.match(await push(TWO, 'v1'), { code: 'DENIED' })
    if (announced.outcome === 'announced') await ports.pendingPushes.removePendingPush(announced.id)
    t.match(await push(TWO, 'v1'), { outcome: 'announced' })
    t.strictSame(await tags(), { v1: two })
  })

  t.test('no content that an immutable tag needs is deleted, by any name', async (t) => {
    const { push, tags, deleteTag, deleteManifest, deleteBlob, deleteRepository, registry, db } =
      await start()
    await push(ONE, 'latest')
    await push(indexOf(ONE), 'v1', INDEX)
    const [blob = ''] = blobsOf(ONE)
    const by = { ...BY, tag: 'v1' }
    const before = registry.manifests.size
    registry.calls.splice(0)
    t.strictSame(await deleteTag(REPOSITORY, 'v1'), { outcome: 'protected', by })
    t.strictSame(await deleteTag(REPOSITORY, 'v2'), { outcome: 'unknown' }, 'a tag that does not exist')
    t.strictSame(await deleteManifest(REPOSITORY, digestOf(indexOf(ONE))), { outcome: 'protected', by })
    for (const digest of [one, sha512Of(ONE)]) {
      t.strictSame(await deleteManifest(REPOSITORY, digest), { outcome: 'protected', by }, 'by force')
      t.strictSame(await deleteManifest(REPOSITORY, digest, { unlessInUse: true }), {
        outcome: 'protected',
        by,
      })
    }
    t.strictSame(await deleteBlob(REPOSITORY, blob), { outcome: 'protected', by })
    t.strictSame(await deleteRepository(REPOSITORY), by)
    t.notOk(
      registry.calls.some((call) => /^(?:PUT|DELETE)/.test(call)),
      'the registry is not changed',
    )
    t.strictSame(await tags(), { latest: one, v1: digestOf(indexOf(ONE)) })
    t.equal(registry.manifests.size, before)
    const deletions = await db
      .selectFrom('events')
      .select('action')
      .where('action', 'like', '%delete')
      .execute()
    t.strictSame(deletions, [])
    t.strictSame(await db.selectFrom('pending_removals').selectAll().execute(), [])

    t.strictSame(await deleteTag(REPOSITORY, 'latest'), { outcome: 'deleted' }, 'an exception')
    t.strictSame(await push(ONE, 'v1'), refusal('v1', digestOf(indexOf(ONE))))
  })

  t.test('the blobs of an image that an immutable image index references by sha512 stay', async (t) => {
    const { push, deleteBlob } = await start()
    await push(ONE, 'latest')
    t.match(await push(indexBySha512(ONE), 'v1', INDEX), { outcome: 'index-only' })
    for (const blob of blobsOf(ONE))
      t.strictSame(await deleteBlob(REPOSITORY, blob), { outcome: 'protected', by: { ...BY, tag: 'v1' } })
  })

  t.test(
    'content that no immutable tag needs can be deleted, and all content after the rules are removed',
    async (t) => {
      const { push, tags, index, deleteTag, deleteManifest, deleteRepository, deleteBlob } = await start()
      await push(ONE, 'v1')
      await push(TWO, 'latest')
      t.strictSame(await deleteManifest(REPOSITORY, two), { outcome: 'deleted' })
      t.strictSame(await deleteBlob(REPOSITORY, digestOf(Buffer.from('nothing'))), { outcome: 'unknown' })
      t.strictSame(await tags(), { v1: one })
      await index.tagRules.replaceRules('team', [])
      t.strictSame(await deleteTag(REPOSITORY, 'v1'), { outcome: 'deleted' })
      await push(ONE, 'v1')
      t.strictSame(await deleteRepository(REPOSITORY), undefined)
      t.strictSame(await tags(), {})
    },
  )

  t.test('a repository with a pending push of an immutable tag is not deleted', async (t) => {
    const { push, announce, deleteRepository } = await start()
    await push(ONE, 'latest')
    await announce(TWO, { tag: 'v1' })
    t.strictSame(await deleteRepository(REPOSITORY), { ...BY, tag: 'v1' })
  })

  t.test('a deletion that has begun is resumed, also if a rule is made later', async (t) => {
    const { push, index, deleteRepository, tags } = await start()
    await index.tagRules.replaceRules('team', [])
    await push(ONE, 'v1')
    await index.deletions.beginDeletion(REPOSITORY)
    await index.tagRules.replaceRules('team', RULES)
    t.equal(await deleteRepository(REPOSITORY), undefined)
    t.strictSame(await tags(), {})
  })

  t.test('an index-only manifest moves no immutable tag either, and keeps its own', async (t) => {
    const { push, registry, tags, pendingPushes, pendingRows } = await start()
    const [ofOne, ofBoth] = [indexBySha512(ONE), indexBySha512(ONE, TWO)]
    await push(ONE, 'one')
    await push(TWO, 'two')
    t.match(await push(ofOne, 'v1', INDEX), { outcome: 'index-only' })
    t.match(await push(ofOne, 'v1', INDEX), { outcome: 'index-only' }, 'the same again')
    t.match(await push(ofBoth, 'v1', INDEX), { code: 'DENIED' })
    t.match(await push(ONE, 'v1'), { code: 'DENIED' })
    t.match(await push(ofOne, 'one', INDEX), { code: 'DENIED' })
    t.match(await push(indexBySha512(image('missing')), 'v3', INDEX), { code: 'MANIFEST_BLOB_UNKNOWN' })
    t.strictSame(await tags(), { one, two, v1: digestOf(ofOne) })
    t.equal(registry.tags.get('one'), one)
    t.equal(await pendingPushes(), 0)
    t.strictSame(await pendingRows(), [])
  })
})
