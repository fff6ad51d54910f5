import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import { recordOrUndoPush } from '../src/push/record-or-undo-push.ts'
import { createPush } from '../src/push/index.ts'
import { INDEX, MANIFEST, REPOSITORY, blobsOf, image, indexOf } from './fixtures/index-and-registry.ts'
import { digestOf } from './fixtures/memory-registry.ts'
import { previousVersion } from './fixtures/previous-version.ts'
import { parsed, reachableIn, startReconcile } from './fixtures/reconcile.ts'

/*
 * A rolling update: image-managers of this version and of the previous one work on the same schema. The calls of one
 * push may reach different versions.
 */

const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [parsed(ONE), parsed(TWO)]

await onBothDatabases(t, async (t, db) => {
  const previous = previousVersion(db)

  const start = async () => {
    const started = await startReconcile(db)
    const { ports, registry } = started
    for (const digest of [ONE, TWO].flatMap(blobsOf)) registry.blobs.add(digest)
    const push = createPush(ports)
    const announce = async (raw: Buffer, tag: string) => {
      const announced = await push.announce({
        repository: REPOSITORY,
        reference: { tag },
        type: MANIFEST,
        raw,
      })
      if (announced.outcome !== 'announced') throw new Error(announced.outcome)
      return announced.id
    }
    return {
      ...started,
      byThis: {
        announce,
        record: (id: string) => push.record(id),
        discard: (id: string) => push.discard(id),
      },
      byPrevious: {
        announce: (raw: Buffer, tag: string) => previous.announce(REPOSITORY, tag, parsed(raw)),
        /** As the previous version records a push when no other process interferes. */
        async record(id: string): Promise<{ digest: string | null } | undefined> {
          const pending = await previous.findPendingPush(id)
          if (pending === undefined) return undefined
          const { repository, digest, tag } = pending
          await previous.recordManifest(repository, id)
          const known = await previous.findTag(repository, tag ?? '')
          const found = await registry.headManifest(repository, tag ?? '')
          if (found !== undefined && !(await previous.setTag(repository, tag ?? '', found, known.revision)))
            throw new Error('the tag has changed')
          await previous.removePendingPush(id)
          return { digest }
        },
        discard: (id: string) => previous.removePendingPush(id),
      },
    }
  }

  const VERSIONS = ['byThis', 'byPrevious'] as const
  for (const announces of VERSIONS) {
    for (const records of VERSIONS) {
      t.test(`a push that is announced ${announces} is recorded ${records}`, async (t) => {
        const started = await start()
        const { registry, contents, pendingRows, pendingPushes, index } = started
        for (const [raw, tag] of [
          [ONE, 'v1'],
          [TWO, 'v1'],
          [ONE, 'v2'],
        ] as const) {
          const id = await started[announces].announce(raw, tag)
          registry.push(raw, MANIFEST, tag)
          t.match(await started[records].record(id), { digest: digestOf(raw) })
          t.equal(await started[records].record(id), undefined, 'it is recorded once')
        }
        t.same((await contents())[REPOSITORY], {
          tags: { v1: two.digest, v2: one.digest },
          manifests: [one.digest, two.digest].toSorted(),
        })
        t.same([await pendingRows(), await pendingPushes()], [[], 0])
        const found = await index.manifestLookup.findManifest(REPOSITORY, { tag: 'v1' })
        t.same(found?.raw, TWO)
        const referenced = await index.references.listReferences(REPOSITORY, two.digest)
        t.same(referenced.toSorted(), blobsOf(TWO).toSorted())
      })

      t.test(`a push that is announced ${announces} and refused is discarded ${records}`, async (t) => {
        const started = await start()
        const { contents, pendingRows, pendingPushes, index } = started
        await started[records].discard(await started[announces].announce(ONE, 'v1'))
        t.same([await contents(), await pendingPushes()], [{}, 0])
        t.same([await previous.listRepositories(), await previous.countArtifacts()], [[], 0])
        await index.pendingPushes.removeLeftovers()
        t.same(await pendingRows(), [])
      })
    }
  }

  t.test('the previous version does not see pending manifests and repositories', async (t) => {
    const { byThis, registry } = await start()
    const first = await byThis.announce(ONE, 'v1')
    t.same(await previous.listRepositories(), [])
    registry.push(ONE, MANIFEST, 'v1')
    await byThis.record(first)
    const second = await byThis.announce(TWO, 'v2')
    t.same(await previous.listRepositories(), [REPOSITORY])
    t.equal(await previous.isBeingDeleted(REPOSITORY), false)
    t.equal(await previous.findManifest(REPOSITORY, one.digest), one.digest)
    t.equal(await previous.findManifest(REPOSITORY, two.digest), undefined)
    t.equal(await previous.findRevision(REPOSITORY, two.digest), undefined)
    t.equal(await previous.countArtifacts(), 1)
    t.equal(await previous.fillSizes(), 0)
    t.same(await previous.findBytesByDigest(REPOSITORY, two.digest), TWO, 'it reads the bytes to record them')
    registry.push(TWO, MANIFEST, 'v2')
    await byThis.record(second)
    t.equal(await previous.findManifest(REPOSITORY, two.digest), two.digest)
  })

  t.test('two versions push one manifest at the same time, and the push of one is refused', async (t) => {
    for (const refused of VERSIONS) {
      const started = await start()
      const { registry, contents, pendingRows, index } = started
      const accepted = refused === 'byThis' ? 'byPrevious' : 'byThis'
      const ids = {
        byThis: await started.byThis.announce(ONE, 'v1'),
        byPrevious: await started.byPrevious.announce(ONE, 'v1'),
      }
      registry.push(ONE, MANIFEST, 'v1')
      await started[accepted].record(ids[accepted])
      await started[refused].discard(ids[refused])
      await index.pendingPushes.removeLeftovers()
      t.same(await contents(), reachableIn(registry))
      t.same(await pendingRows(), [])
    }
  })

  t.test('each version detects that the other has changed a tag or a manifest', async (t) => {
    const { byThis, registry, index } = await start()
    registry.push(ONE, MANIFEST, 'v1')
    await byThis.record(await byThis.announce(ONE, 'v1'))
    registry.push(TWO, MANIFEST)
    await index.manifests.putManifest(REPOSITORY, two)

    const known = await previous.findTag(REPOSITORY, 'v1')
    const { revision } = await index.tags.findTag(REPOSITORY, 'v1')
    t.equal(await index.tags.setTag(REPOSITORY, 'v1', two.digest, revision), true)
    t.equal(await previous.setTag(REPOSITORY, 'v1', one.digest, known.revision), false)
    const later = await index.tags.findTag(REPOSITORY, 'v1')
    const { revision: seen } = await previous.findTag(REPOSITORY, 'v1')
    t.equal(await previous.setTag(REPOSITORY, 'v1', one.digest, seen), true)
    t.equal(await index.tags.setTag(REPOSITORY, 'v1', two.digest, later.revision), false)

    const before = (await previous.findRevision(REPOSITORY, one.digest)) ?? 0
    await byThis.record(await byThis.announce(ONE, 'v2'))
    t.equal(await previous.removeManifest(REPOSITORY, one.digest, before), false)
    const current = (await index.manifests.findRevision(REPOSITORY, one.digest)) ?? ''
    await previous.recordManifest(REPOSITORY, await previous.announce(REPOSITORY, 'v3', one))
    t.equal(await index.manifests.removeManifest(REPOSITORY, one.digest, current), false)
  })

  t.test('rows from before the update are changed by compare-and-set, too', async (t) => {
    const { byThis, registry, index } = await start()
    registry.push(ONE, MANIFEST, 'v1')
    await byThis.record(await byThis.announce(ONE, 'v1'))
    // As the migration leaves them.
    await sql`alter table tags disable trigger update_revision`.execute(db)
    await sql`alter table all_manifests disable trigger update_revision`.execute(db)
    await sql`update tags set revision_id = null`.execute(db)
    await sql`update all_manifests set revision_id = null`.execute(db)
    await sql`alter table tags enable trigger update_revision`.execute(db)
    await sql`alter table all_manifests enable trigger update_revision`.execute(db)
    const { revision } = await index.tags.findTag(REPOSITORY, 'v1')
    t.match(revision, /^-\d+$/)
    t.equal(await index.tags.setTag(REPOSITORY, 'v1', one.digest, `${revision}1`), false)
    t.equal(await index.tags.setTag(REPOSITORY, 'v1', one.digest, revision), true)
    t.equal(await index.tags.setTag(REPOSITORY, 'v1', one.digest, revision), false)
    const current = (await index.manifests.findRevision(REPOSITORY, one.digest)) ?? ''
    await previous.recordManifest(REPOSITORY, await previous.announce(REPOSITORY, 'v1', one))
    t.equal(await index.manifests.removeManifest(REPOSITORY, one.digest, current), false)
    const changed = (await index.manifests.findRevision(REPOSITORY, one.digest)) ?? ''
    t.match(changed, /^\d+$/)
    t.equal(await index.manifests.removeManifest(REPOSITORY, one.digest, changed), true)
  })

  t.test('a deletion of either version finds the blobs of pending pushes of the other', async (t) => {
    const { byThis, byPrevious, index } = await start()
    await byThis.announce(ONE, 'v1')
    await byPrevious.announce(TWO, 'v2')
    const blobs = [...new Set([ONE, TWO].flatMap(blobsOf))].toSorted()
    t.same((await previous.listReferenced(REPOSITORY, blobs)).toSorted(), blobs)
    t.same((await index.references.listReferenced(REPOSITORY, blobs)).toSorted(), blobs)
  })

  t.test('a push is recorded although the previous version deletes its repository', async (t) => {
    const { byThis, registry, contents, ports, pendingRows, index } = await start()
    await index.blobs.announceBlob(REPOSITORY, blobsOf(ONE)[0] ?? '')
    const id = await byThis.announce(ONE, 'v1')
    const deletion = (await previous.beginDeletion(REPOSITORY)) ?? ''
    t.equal(await previous.renewDeletion(deletion), true)
    t.equal(await previous.isBeingDeleted(REPOSITORY), true)
    registry.push(ONE, MANIFEST, 'v1')
    await previous.removeRepository(REPOSITORY)
    t.equal(await previous.renewDeletion(deletion), false)
    t.equal(await previous.takeDeletion(), undefined)
    const pending = await ports.pendingPushes.findPendingPush(id)
    if (pending === undefined) return t.fail('the push is not pending')
    t.ok(await recordOrUndoPush(ports, pending))
    t.same(await contents(), reachableIn(registry))
    t.same(await pendingRows(), [])
  })

  t.test('each version recovers pushes that the other has abandoned', async (t) => {
    const { byThis, byPrevious, registry, run, contents, pendingPushes, agePendingPushes } = await start()
    const ids = [await byThis.announce(ONE, 'v1'), await byPrevious.announce(TWO, 'v2')]
    registry.push(ONE, MANIFEST, 'v1')
    registry.push(TWO, MANIFEST, 'v2')
    await agePendingPushes()
    t.same(await previous.listAbandonedPushes(90), ids.toSorted())
    await run()
    t.same([await contents(), await pendingPushes()], [reachableIn(registry), 0])
  })

  t.test('index-only manifests of either version are index-only for the other', async (t) => {
    const { index, registry, ports } = await start()
    const [raw, other] = [indexOf(ONE), indexOf(TWO)]
    await previous.putIndexOnly(REPOSITORY, parsed(raw, INDEX))
    await index.manifests.putManifest(REPOSITORY, parsed(other, INDEX), { indexOnly: true })
    for (const [at, bytes] of [raw, other].entries()) {
      const tag = `v${at}`
      await index.tags.setTag(REPOSITORY, tag, digestOf(bytes), undefined)
      t.match(await previous.findTag(REPOSITORY, tag), { indexOnly: true })
      t.match(await index.tags.findTag(REPOSITORY, tag), { indexOnly: true })
      t.match(await ports.manifestLookup.findManifest(REPOSITORY, { tag }), { indexOnly: true })
    }
    t.same(registry.calls, [])
  })
})
