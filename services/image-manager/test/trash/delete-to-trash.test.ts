import { ServiceCallError } from '@registry-manager/http'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { ONE, TWO, both, one, two } from '../fixtures/filled-repository.ts'
import { INDEX, MANIFEST, REPOSITORY, blobsOf, image } from '../fixtures/index-and-registry.ts'
import { digestOf, killed } from '../fixtures/memory-registry.ts'
import { startTrash, trashOf } from '../fixtures/trash.ts'

/** An image whose subject is another manifest, like a signature. */
const referrerTo = (subject: Buffer, text: string) => {
  const { config, layers } = JSON.parse(image(text).toString())
  const descriptor = { mediaType: MANIFEST, digest: digestOf(subject), size: subject.length }
  return Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers, subject: descriptor }),
  )
}
const contentsOf = ({ manifests, blobs }: { manifests: Map<string, unknown>; blobs: Set<string> }) => ({
  manifests: [...manifests.keys()].toSorted(),
  blobs: [...blobs].toSorted(),
})

await onBothDatabases(t, async (t, db) => {
  const start = async (days?: number) => {
    const started = await startTrash(db, days)
    const push = async (raw: Buffer, tag: string | null, type = MANIFEST) => {
      const pending = await started.announce(raw, tag, type)
      started.registry.push(raw, type, tag ?? undefined)
      for (const blob of type === MANIFEST ? blobsOf(raw) : []) started.registry.blobs.add(blob)
      await recordOrUndoPush(started.ports, pending)
      return digestOf(raw)
    }
    const list = async (namespace?: string) =>
      (await started.manageTrash.list(namespace, { limit: 50 })).items
    return { ...started, push, list }
  }

  t.test('a deleted image is in the trash, and is restored with its tags', async (t) => {
    const { registry, deleteManifest, tags, manifests, list, manageTrash, inTrash, events } = await start()
    await deleteManifest(REPOSITORY, both)
    t.same(await deleteManifest(REPOSITORY, one), { outcome: 'deleted' })
    t.same([await tags(), await manifests()], [{}, [two]])
    t.same(contentsOf(registry), { manifests: [two], blobs: blobsOf(TWO).toSorted() })
    const [entry, ofIndex, ...others] = await list('team')
    t.same(others, [])
    t.match(entry, { kind: 'manifest', repository: REPOSITORY, digest: one, tags: ['again', 'one'] })
    t.match(ofIndex, { digest: both, tags: ['both'] })
    const stored = registry.repositories.get(`registry-manager-trash/${entry?.id}`)
    t.same(stored && contentsOf(stored), { manifests: [one], blobs: blobsOf(ONE).toSorted() })
    t.same([...(stored?.tags ?? [])], [])

    const restored = await manageTrash.restore('team', entry?.id ?? '')
    t.match(restored, {
      result: { outcome: 'restored', manifests: 1, tags: ['again', 'one'], taken: [], missing: [] },
    })
    t.same([await tags(), await manifests()], [{ again: one, one }, [one, two].toSorted()])
    t.same(new Set(registry.blobs), new Set([ONE, TWO].flatMap(blobsOf)))
    t.same([...registry.tags].toSorted(), [
      ['again', one],
      ['one', one],
    ])
    t.match(await manageTrash.restore('team', ofIndex?.id ?? ''), {
      result: { manifests: 1, tags: ['both'] },
    })
    t.same(await tags(), { again: one, both, one })
    t.same([await list(), inTrash()], [[], []], 'the trash is empty')
    t.equal((await events()).at(-1), `trash.restore ${REPOSITORY}@${both}`)
    t.equal(await manageTrash.restore('team', entry?.id ?? ''), undefined, 'an entry is restored once')
  })

  t.test('nothing is deleted if the registry cannot store content in the trash', async (t) => {
    const { registry, deleteManifest, deleteRepository, tags, manifests, list, manageTrash } = await start()
    const before = [await tags(), await manifests()]
    for (const failing of ['MOUNT blob', 'PUT manifest']) {
      // As distribution responds on a full disk.
      registry.before = (call) => {
        if (call.startsWith(failing))
          throw new ServiceCallError('500', { dependency: 'registry', status: 500 })
      }
      await t.rejects(deleteManifest(REPOSITORY, both), { message: /could not store/ }, failing)
      t.same([await tags(), await manifests(), await list()], [...before, []], failing)
      registry.before = () => undefined
    }
    registry.before = (call) => {
      if (call.startsWith('MOUNT blob'))
        throw new ServiceCallError('500', { dependency: 'registry', status: 500 })
    }
    await t.rejects(deleteRepository(REPOSITORY), { message: /could not store/ })
    t.equal(registry.manifests.size, 3)
    registry.before = () => undefined
    await deleteRepository(REPOSITORY)
    const [entry] = await list()
    t.match(await manageTrash.restore('team', entry?.id ?? ''), { result: { manifests: 3, missing: [] } })
    t.same([await tags(), await manifests()], before)
  })

  t.test('an image index takes copies of its images to the trash', async (t) => {
    const { registry, deleteManifest, manifests, list, manageTrash, inTrash } = await start()
    await deleteManifest(REPOSITORY, both)
    t.same(await manifests(), [one, two].toSorted(), 'the images stay')
    for (const digest of [one, two]) await deleteManifest(REPOSITORY, digest)
    const entry = (await list()).find(({ digest }) => digest === both)
    const stored = registry.repositories.get(`registry-manager-trash/${entry?.id}`)
    t.same(stored && contentsOf(stored).manifests, [one, two, both].toSorted())
    t.match(await manageTrash.restore('team', entry?.id ?? ''), { result: { manifests: 3, tags: ['both'] } })
    t.same(await manifests(), [one, two, both].toSorted())
    t.same(new Set(registry.blobs), new Set([ONE, TWO].flatMap(blobsOf)))
    t.equal(inTrash().length, 2, 'the entries of the images stay')
  })

  t.test('signatures stay, and come back with their subject if they were deleted', async (t) => {
    const { registry, push, deleteManifest, manifests, list, manageTrash } = await start()
    await deleteManifest(REPOSITORY, both)
    const signature = referrerTo(ONE, 'signature')
    const [sbom, tagged] = [referrerTo(signature, 'sbom'), referrerTo(ONE, 'tagged')]
    for (const raw of [signature, sbom]) await push(raw, null)
    await push(tagged, 'patch')
    const referrers = [signature, sbom, tagged].map(digestOf)
    t.same(await deleteManifest(REPOSITORY, one), { outcome: 'deleted' })
    t.same(await manifests(), [two, ...referrers].toSorted())
    const entry = (await list()).find(({ digest }) => digest === one)
    const stored = registry.repositories.get(`registry-manager-trash/${entry?.id}`)
    t.same([...(stored?.manifests.keys() ?? [])].toSorted(), [one, ...referrers.slice(0, 2)].toSorted())
    for (const digest of referrers) await deleteManifest(REPOSITORY, digest)
    const restored = await manageTrash.restore('team', entry?.id ?? '')
    t.match(restored, { result: { outcome: 'restored', manifests: 3 } })
    t.same(await manifests(), [one, two, ...referrers.slice(0, 2)].toSorted())
    for (const blob of [signature, sbom].flatMap(blobsOf)) t.ok(registry.blobs.has(blob))
  })

  t.test('a tag that names another manifest by now is not moved', async (t) => {
    const { push, deleteManifest, tags, list, manageTrash } = await start()
    await deleteManifest(REPOSITORY, both)
    await deleteManifest(REPOSITORY, one)
    const other = await push(image('other'), 'one')
    const [entry] = await list()
    t.match(await manageTrash.restore('team', entry?.id ?? ''), {
      result: { outcome: 'restored', tags: ['again'], taken: [{ tag: 'one', digest: one, names: other }] },
    })
    t.same(await tags(), { again: one, one: other })
  })

  t.test('a restore loses no tag that an interrupted push was about to set', async (t) => {
    const { ports, announce, deleteManifest, tags, list, manageTrash } = await start()
    await deleteManifest(REPOSITORY, both)
    await deleteManifest(REPOSITORY, one)
    const pending = await announce(image('other'), 'one')
    const [entry] = await list()
    const reason = `the tag one of ${REPOSITORY} has a push that has not ended`
    const restore = () => manageTrash.restore('team', entry?.id ?? '')
    t.match(await restore(), { result: { outcome: 'busy', reason } })
    await recordOrUndoPush(ports, pending)
    t.match(await restore(), { result: { outcome: 'restored', taken: [], missing: [] } })
    t.same(await tags(), { again: one, one })
  })

  t.test('a push of an image works while the image is in the trash', async (t) => {
    const { push, deleteManifest, tags, list, manageTrash } = await start()
    await deleteManifest(REPOSITORY, both)
    await deleteManifest(REPOSITORY, one)
    await push(ONE, 'new')
    t.same(await tags(), { new: one })
    const [entry] = await list()
    t.match(await manageTrash.restore('team', entry?.id ?? ''), { result: { tags: ['again', 'one'] } })
    t.same(await tags(), { again: one, new: one, one })
  })

  t.test('a repository comes back with everything, also into a new one of its name', async (t) => {
    for (const isNew of [false, true]) {
      const { registry, push, deleteRepository, tags, manifests, list, manageTrash, inTrash, events } =
        await start()
      await deleteRepository(REPOSITORY)
      t.same([await tags(), await manifests()], [{}, []])
      t.same(contentsOf(registry), { manifests: [], blobs: [] })
      const [entry, ...others] = await list('team')
      t.same(others, [])
      t.match(entry, {
        kind: 'repository',
        repository: REPOSITORY,
        digest: null,
        tags: ['again', 'both', 'one'],
      })
      const other = isNew ? await push(image('other'), 'one') : one
      t.match(await manageTrash.restore('team', entry?.id ?? ''), { result: { manifests: 3, missing: [] } })
      t.same(await tags(), { again: one, both, one: other })
      t.same([await list(), inTrash()], [[], []])
      for (const blob of [ONE, TWO].flatMap(blobsOf)) t.ok(registry.blobs.has(blob))
      t.ok((await events()).includes(`trash.restore ${REPOSITORY}`))
    }
  })

  t.test('content in the trash is in no view, list or count', async (t) => {
    const { ports, deleteRepository, deleteManifest, push } = await start()
    const { bytes } = await usage()
    t.ok(bytes > 0)
    await deleteManifest(REPOSITORY, both)
    await deleteRepository(REPOSITORY)
    t.same(await usage(), { bytes: 0, repositories: 0 }, 'its bytes are given back')
    for (const view of ['repositories', 'manifests'])
      t.same((await sql`select from ${sql.table(view)}`.execute(db)).rows, [], view)
    const page = { limit: 10, after: '' }
    t.same(await ports.visibleRepositories.listRepositories({ kind: 'all' }, page), [])
    t.same(await ports.visibleRepositories.listNamespaces(page), [])
    t.equal(await ports.repositories.findRepository(REPOSITORY), undefined)
    await push(image('small'), 'v1')

    async function usage() {
      const { rows } = await sql<{ bytes: number; repositories: number }>`
        select bytes::float8 as bytes, repositories::float8 as repositories from namespace_usage
        where namespace = 'team'`.execute(db)
      return rows[0] ?? { bytes: -1, repositories: -1 }
    }
  })

  t.test('a deletion leaves nothing behind if the trash is off', async (t) => {
    const { deleteManifest, deleteRepository, list, inTrash, registry } = await start(0)
    await deleteManifest(REPOSITORY, both)
    await deleteRepository(REPOSITORY)
    t.same([await list(), inTrash(), contentsOf(registry)], [[], [], { manifests: [], blobs: [] }])
    t.notOk(registry.calls.some((call) => call.startsWith('MOUNT')))
    t.same((await sql`select from trash`.execute(db)).rows, [])
  })

  t.test('an unknown manifest leaves no entry', async (t) => {
    const { deleteManifest, list, recover, inTrash } = await start()
    const unknown = digestOf(image('unknown'))
    t.same(await deleteManifest(REPOSITORY, unknown), { outcome: 'unknown' })
    t.same(await deleteManifest(REPOSITORY, one, { unlessInUse: true }), {
      outcome: 'in-use',
      by: { digest: both, tag: 'both' },
    })
    await recover()
    t.same([await list(), inTrash()], [[], []])
  })

  t.test('an entry is purged, or expires', async (t) => {
    const { deleteManifest, list, manageTrash, recover, inTrash, events } = await start()
    for (const digest of [both, one, two]) await deleteManifest(REPOSITORY, digest)
    const [entry] = await list()
    t.equal(await manageTrash.purge('other', entry?.id ?? ''), undefined, 'of another namespace')
    t.equal(await manageTrash.purge('team', entry?.id ?? ''), 'purged')
    t.equal(await manageTrash.purge('team', entry?.id ?? ''), undefined)
    t.equal((await events()).at(-1), `trash.purge ${REPOSITORY}@${two}`)
    t.equal((await list()).length, 2)
    await sql`update trash set expires_at = now() - interval '1 second' where digest = ${one}`.execute(db)
    await recover()
    t.same(
      (await list()).map(({ digest }) => digest),
      [both],
    )
    t.equal((await events()).at(-1), `trash.purge ${REPOSITORY}@${one}`)
    t.equal(inTrash().length, 1)
    t.same((await sql`select from blob_aliases`.execute(db)).rows, [])
  })

  t.test('a restore that a quota does not permit brings nothing back', async (t) => {
    const { registry, deleteRepository, list, manageTrash, ports } = await start()
    await deleteRepository(REPOSITORY)
    await sql`update namespace_usage set quota_bytes = 5 where namespace = 'team'`.execute(db)
    const [entry] = await list()
    t.match(await manageTrash.restore('team', entry?.id ?? ''), {
      result: { outcome: 'denied', reason: /the quota of team is exceeded/ },
    })
    t.same(contentsOf(registry), { manifests: [], blobs: [] })
    t.equal((await list()).length, 1, 'the entry stays')
    await sql`update namespace_usage set quota_bytes = null where namespace = 'team'`.execute(db)
    t.match(await manageTrash.restore('team', entry?.id ?? ''), { result: { manifests: 3 } })
    t.ok(await ports.repositories.findRepository(REPOSITORY))
  })

  t.test('nothing is restored into a repository that is being deleted', async (t) => {
    const { deleteManifest, list, manageTrash, index } = await start()
    await deleteManifest(REPOSITORY, both)
    await index.deletions.beginDeletion(REPOSITORY)
    const [entry] = await list()
    t.match(await manageTrash.restore('team', entry?.id ?? ''), { result: { outcome: 'being-deleted' } })
  })

  t.test('a manifest whose blob is missing stays in the trash, and leaves no blob behind', async (t) => {
    const { registry, deleteManifest, list, manageTrash } = await start()
    await deleteManifest(REPOSITORY, both)
    await deleteManifest(REPOSITORY, two)
    await deleteManifest(REPOSITORY, one)
    const [entry] = await list()
    const [missing = ''] = blobsOf(ONE).slice(-1)
    registry.repositories.get(`registry-manager-trash/${entry?.id}`)?.blobs.delete(missing)
    t.match(await manageTrash.restore('team', entry?.id ?? ''), {
      result: { outcome: 'restored', manifests: 0, missing: [one] },
    })
    t.same(contentsOf(registry), { manifests: [], blobs: [] })
    t.equal((await list()).length, 3)
  })

  t.test('a registry that is unavailable fails the deletion, and it can be repeated', async (t) => {
    const { registry, deleteManifest, list, manifests, recover } = await start()
    await deleteManifest(REPOSITORY, both)
    registry.before = (call) => (call.startsWith('MOUNT') ? killed() : undefined)
    await t.rejects(deleteManifest(REPOSITORY, one), { message: 'killed in the middle' })
    t.ok((await manifests()).includes(one))
    registry.before = () => undefined
    t.same(await deleteManifest(REPOSITORY, one), { outcome: 'deleted' })
    await recover()
    t.same(
      (await list()).map(({ digest }) => digest),
      [one, both],
    )
  })

  t.test('an image index by sha512 digests is restored from the index', async (t) => {
    const { ports, push, deleteManifest, list, manageTrash, manifests, tags } = await start()
    const raw = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: INDEX,
        manifests: [{ mediaType: MANIFEST, digest: await sha512Of(one), size: ONE.length }],
      }),
    )
    const announced = await push2(raw, 'wide')
    t.equal(announced.outcome, 'index-only')
    const wide = digestOf(raw)
    await deleteManifest(REPOSITORY, both)
    t.same(await deleteManifest(REPOSITORY, wide), { outcome: 'deleted' })
    t.notOk((await manifests()).includes(wide))
    const [entry] = await list()
    t.match(entry, { digest: wide, tags: ['wide'] })
    t.match(await manageTrash.restore('team', entry?.id ?? ''), { result: { tags: ['wide'], missing: [] } })
    t.match(await tags(), { wide })
    await push(image('x'), 'x')

    async function sha512Of(digest: string) {
      return (await ports.manifests.resolveDigest(REPOSITORY, digest))?.sha512
    }
    async function push2(body: Buffer, tag: string) {
      return trashOf(db, started()).push.announce({
        repository: REPOSITORY,
        reference: { tag },
        type: INDEX,
        raw: body,
      })
    }
    function started() {
      return ports.registry
    }
  })
})
