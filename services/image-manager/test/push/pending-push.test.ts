import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { createContentsRepository } from '../../src/contents/contents-repository.ts'
import { createReconcileRepositories } from '../../src/reconcile/index.ts'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  blobsOf,
  image,
  indexOf,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import { digestOf, sha512Of } from '../fixtures/memory-registry.ts'
import { parsed } from '../fixtures/reconcile.ts'

const [ONE, TWO] = [image('one'), image('two')]
const BOTH = indexOf(ONE, TWO)
/** A referrer of the first image. */
const SIGNATURE = Buffer.from(
  JSON.stringify({
    ...JSON.parse(image('signature').toString()),
    subject: { mediaType: MANIFEST, digest: digestOf(ONE), size: ONE.length },
  }),
)
const PUSHES = [
  [TWO, 'v2', MANIFEST, REPOSITORY],
  [BOTH, 'both', INDEX, REPOSITORY],
  [SIGNATURE, null, MANIFEST, REPOSITORY],
  [TWO, 'v1', MANIFEST, 'team/new'],
] as const
const PAGE = { after: '', limit: 100 }
const OFFSETS = { offset: 0, limit: 100, orderBy: 'name' }

await onBothDatabases(t, async (t, db) => {
  const contents = createContentsRepository(db)
  const { comparison } = createReconcileRepositories(db)

  /** A repository with one image. */
  const start = async () => {
    const started = await startIndex(db)
    const { ports, registry, announce } = started
    await announceAndPush(started, ONE, 'v1', MANIFEST, REPOSITORY)
    return { ...started, ports, registry, announce }
  }
  const announceAndPush = async (
    { ports, registry, announce }: Awaited<ReturnType<typeof startIndex>>,
    raw: Buffer,
    tag: string | null,
    type: string,
    repository: string,
  ) => {
    const pending = await announce(raw, tag, type, repository)
    registry.push(raw, type, tag ?? undefined, repository)
    await recordOrUndoPush(ports, pending)
  }

  /** The result of everything that clients, administrators and reconcile read. */
  const readAll = async ({ index }: Awaited<ReturnType<typeof start>>) => {
    const found: Record<string, unknown> = {}
    const { id = '' } = (await index.repositories.findRepository(REPOSITORY)) ?? {}
    for (const visibility of [
      { kind: 'all' },
      { kind: 'patterns', patterns: ['team/*'], global: true },
      { kind: 'patterns', patterns: ['team/*'], global: false },
    ] as const) {
      const rows = await index.visibleRepositories.listRepositories(visibility, PAGE)
      found[visibility.kind] = rows.map(({ name }) => name)
    }
    found['referrers'] = await index.manifestLookup.listReferrers(id, digestOf(ONE), { ...PAGE, bytes: 1e6 })
    found['tags'] = await index.tags.listTags(id, PAGE)
    const digests = [ONE, TWO, BOTH, SIGNATURE].map(digestOf)
    for (const repository of [REPOSITORY, 'team/new']) {
      const row = await index.repositories.findRepository(repository)
      const artifacts = await contents.listArtifacts({ ...OFFSETS, repository })
      const references = [
        ...[ONE, TWO, BOTH, SIGNATURE].map((raw) => ({ digest: digestOf(raw) })),
        { digest: sha512Of(TWO) },
        ...['v1', 'v2', 'both'].map((tag) => ({ tag })),
      ]
      found[repository] = {
        row: row?.name,
        isInIndex: (await comparison.getStates([repository])).states.get(repository)?.exists,
        isInContents: await contents.hasRepository(repository),
        artifacts: artifacts.items.map(({ digest, tags }) => [digest, tags]).toSorted(),
        total: artifacts.total,
        manifests: (row === undefined ? [] : await index.removedContents.listManifests(row.id, PAGE)).map(
          ({ digest }) => digest,
        ),
        known: await index.manifests.filterManifests(repository, digests),
        untagged: await comparison.listUntagged(repository, PAGE),
        listedTags: await comparison.listTagNames(repository, PAGE),
        tags: await Promise.all(
          ['v1', 'v2', 'both'].map(async (tag) => (await index.tags.findTag(repository, tag)).digest),
        ),
        read: await Promise.all(
          references.map(async (reference) => [
            (await index.manifestLookup.findManifest(repository, reference))?.digest,
            await index.manifestLookup.measureManifest(repository, reference),
          ]),
        ),
        resolved: await Promise.all(
          digests.map(async (digest) => [
            await index.manifests.hasManifest(repository, digest),
            await index.manifests.resolveDigest(repository, digest),
            typeof (await index.manifests.findRevision(repository, digest)),
          ]),
        ),
      }
    }
    const { items, total } = await contents.listRepositories(OFFSETS)
    found['contents'] = [items.map(({ name, artifacts }) => [name, artifacts]), total]
    found['bytes'] = await contents.sumBytes()
    const tagged: string[] = []
    for await (const some of index.taggedManifests.readTaggedManifests([id]))
      tagged.push(...some.map(({ name }) => name))
    found['tagged'] = tagged
    return found
  }

  t.test(
    'nobody sees a pending manifest or its repository; everybody sees it once it is recorded',
    async (t) => {
      const started = await start()
      const { ports, registry, announce } = started
      const before = await readAll(started)
      const pending = []
      for (const [raw, tag, type, repository] of PUSHES)
        pending.push(await announce(raw, tag, type, repository))
      t.equal((await started.pendingRows()).length, 5)
      t.same(await readAll(started), before)
      for (const [at, [raw, tag, type, repository]] of PUSHES.entries()) {
        registry.push(raw, type, tag ?? undefined, repository)
        await recordOrUndoPush(ports, pending[at]!)
      }
      const after = await readAll(started)
      for (const [what, value] of Object.entries(before)) t.notSame(after[what], value, what)
      t.same(await started.pendingRows(), [])
    },
  )

  t.test('a refused push leaves nothing behind', async (t) => {
    const started = await start()
    const { announce, index, pendingRows, pendingPushes } = started
    const before = await readAll(started)
    const references = await db.selectFrom('manifest_references').selectAll().execute()
    const pending = []
    for (const [raw, tag, type, repository] of PUSHES)
      pending.push(await announce(raw, tag, type, repository))
    for (const { id } of pending) await index.pendingPushes.removePendingPush(id)
    t.same([await pendingRows(), await pendingPushes()], [[], 0])
    t.same(await readAll(started), before)
    t.same(await db.selectFrom('manifest_references').selectAll().execute(), references)
  })

  t.test(
    'a manifest is pending until one of its pushes is recorded, even if others are refused',
    async (t) => {
      const { announce, index, registry, ports, pendingRows, tags, manifests } = await start()
      const pushes = await Promise.all(['a', 'b', 'c'].map((tag) => announce(TWO, tag)))
      await index.pendingPushes.removePendingPush(pushes[0]!.id)
      t.same(await pendingRows(), [digestOf(TWO)])
      registry.push(TWO, MANIFEST, 'b')
      await recordOrUndoPush(ports, pushes[1]!)
      await index.pendingPushes.removePendingPush(pushes[2]!.id)
      t.same(await pendingRows(), [])
      t.same(await tags(), { b: digestOf(TWO), v1: digestOf(ONE) })
      t.same(await manifests(), [digestOf(ONE), digestOf(TWO)].toSorted())
    },
  )

  t.test('a manifest that is recorded stays visible while it is pushed again', async (t) => {
    const { announce, index, pendingRows } = await start()
    await announce(ONE, 'again')
    t.same(await pendingRows(), [])
    t.equal(await index.manifests.hasManifest(REPOSITORY, digestOf(ONE)), true)
  })

  t.test('a deletion finds the blobs of a pending manifest, also in a pending repository', async (t) => {
    const { announce, index, pendingRows } = await start()
    await announce(TWO, 'v1', MANIFEST, 'team/new')
    for (const way of ['by the push', 'by the manifest']) {
      const referenced = await index.references.listReferenced('team/new', blobsOf(TWO))
      t.same(referenced.toSorted(), blobsOf(TWO).toSorted(), way)
      await db.deleteFrom('pending_pushes').execute()
    }
    await announce(BOTH, 'both', INDEX)
    const parent = { digest: digestOf(BOTH), tag: 'both' }
    t.same(await index.references.findParentImageIndex(REPOSITORY, [digestOf(ONE)], 'x'), parent)
    await db.deleteFrom('pending_pushes').execute()
    t.same(await index.references.findParentImageIndex(REPOSITORY, [digestOf(ONE)], 'x'), undefined)
    await index.pendingPushes.removeLeftovers()
    t.same(await pendingRows(), [], 'manifests and repositories without a push are removed')
  })

  t.test('a push is not announced while its repository is being deleted', async (t) => {
    const { index, pendingRows, pendingPushes } = await start()
    await index.deletions.beginDeletion(REPOSITORY)
    const push = { repository: REPOSITORY, tag: 'v2', manifest: parsed(TWO) }
    t.equal(await index.pendingPushes.insertPendingPush(push), undefined)
    t.same([await pendingRows(), await pendingPushes()], [[], 0])
  })
})
