import { createHash } from 'node:crypto'
import t from 'tap'
import { announceManifest } from '../../src/push/announce-manifest.ts'
import { syncTag } from '../../src/index/sync-tag.ts'
import { recordPendingPush } from '../../src/push/record-pending-push.ts'
import { deleteOneBlob } from '../../src/delete/delete-blobs.ts'
import { deleteManifest } from '../../src/delete/delete-manifest.ts'
import { deleteTag } from '../../src/delete/delete-tag.ts'
import { deleteRepository } from '../../src/delete/repository-deletion.ts'
import { INDEX, MANIFEST, REPOSITORY, databaseForTest, image } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { startReconcile } from '../fixtures/reconcile.ts'

const db = await databaseForTest(t)
const sha512 = (raw: Buffer) => `sha512:${createHash('sha512').update(raw).digest('hex')}`
const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]
const indexBySha512 = (...images: readonly Buffer[]) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: images.map((raw) => ({ mediaType: MANIFEST, digest: sha512(raw), size: raw.length })),
    }),
  )
const KEPT = indexBySha512(ONE)
const kept = digestOf(KEPT)

/** The registry and the index with one image, by its digest. */
async function start() {
  const started = await startReconcile(db)
  const { ports, registry, admit } = started
  const push = async (raw: Buffer, tag: string | null) => {
    const admission = await admit(raw, tag)
    registry.push(raw, MANIFEST, tag ?? undefined)
    await recordPendingPush(ports, admission)
  }
  const keep = (raw: Buffer, reference: { tag: string } | { digest: string }) =>
    announceManifest(ports, { repository: REPOSITORY, reference, type: INDEX, raw })
  await push(ONE, null)
  return { ...started, push, keep }
}

t.test('a manifest is found by either digest', async (t) => {
  const { index } = await start()
  for (const digest of [one, sha512(ONE)]) {
    t.match(await index.manifestLookup.findManifest(REPOSITORY, { digest }), {
      digest: one,
      indexOnly: false,
      raw: ONE,
    })
    t.equal(await index.manifests.hasManifest(REPOSITORY, digest), true)
  }
  t.equal(await index.manifestLookup.findManifest(REPOSITORY, { digest: sha512(TWO) }), undefined)
})

t.test('an index that names sha512 children is kept: the registry never sees it', async (t) => {
  const { keep, index, registry, tags, admissions } = await start()
  registry.calls.splice(0)
  t.same(await keep(KEPT, { tag: 'multi' }), { outcome: 'index-only', digest: kept, subject: null })
  t.same(await tags(), { multi: kept })
  t.match(await index.manifestLookup.findManifest(REPOSITORY, { tag: 'multi' }), {
    digest: kept,
    indexOnly: true,
    raw: KEPT,
  })
  t.equal(await admissions(), 0)
  t.notOk(registry.calls.some((call) => call.startsWith('PUT')))
})

t.test('children that are not there: refused, with nothing done', async (t) => {
  const { keep, manifests, tags } = await start()
  const answer = await keep(indexBySha512(ONE, TWO), { tag: 'multi' })
  t.match(answer, { outcome: 'refused', code: 'MANIFEST_BLOB_UNKNOWN', message: new RegExp(sha512(TWO)) })
  t.same(await manifests(), [one])
  t.same(await tags(), {})
})

t.test('pushed by the wrong digest: refused', async (t) => {
  const { keep } = await start()
  for (const digest of [sha512(ONE), one]) {
    t.match(await keep(KEPT, { digest }), { outcome: 'refused', code: 'DIGEST_INVALID' })
  }
  t.match(await keep(KEPT, { digest: sha512(KEPT) }), { outcome: 'index-only', digest: kept })
})

t.test('a tag goes from the registry to what is kept, and back: the last push wins', async (t) => {
  const { keep, push, registry, tags } = await start()
  await push(TWO, 'latest')
  await keep(KEPT, { tag: 'latest' })
  t.same(await tags(), { latest: kept })
  t.same([...registry.tags], [], 'the registry has no such tag any more')
  t.ok(registry.manifests.has(two), 'the image stays')
  await push(TWO, 'latest')
  t.same(await tags(), { latest: two })
})

t.test('the tag of what is kept stays when somebody looks at the registry', async (t) => {
  const { keep, ports, tags } = await start()
  await keep(KEPT, { tag: 'latest' })
  await syncTag(ports, REPOSITORY, 'latest')
  t.same(await tags(), { latest: kept })
})

for (const first of ['kept', 'ordinary'] as const) {
  t.test(
    `an ordinary push and a kept one at the same time, ${first} first: both agree on the end`,
    async (t) => {
      const { keep, push, index, registry } = await start()
      const pushes = [() => keep(KEPT, { tag: 'latest' }), () => push(TWO, 'latest')]
      if (first === 'ordinary') pushes.reverse()
      await Promise.all(pushes.map((begin) => begin()))
      const found = await index.manifestLookup.findManifest(REPOSITORY, { tag: 'latest' })
      t.ok(found)
      t.equal(registry.tags.get('latest'), found?.indexOnly === true ? undefined : two)
    },
  )
}

t.test(
  'reconcile leaves what is kept alone, with its tag, until the registry has one of that name',
  async (t) => {
    const { keep, registry, run, manifests, tags } = await start()
    const other = Buffer.from(`${KEPT.toString()} `)
    await keep(KEPT, { tag: 'latest' })
    await keep(other, { digest: sha512(other) })
    t.match((await run())?.counts, { manifestsRemoved: 0, tagsRemoved: 0, failures: 0 })
    t.same(await manifests(), [one, kept, digestOf(other)].toSorted())
    t.same(await tags(), { latest: kept })
    registry.push(TWO, MANIFEST, 'latest')
    t.match((await run())?.counts, { manifestsAdopted: 1, tagsChanged: 1, manifestsRemoved: 0 })
    t.same(await tags(), { latest: two })
  },
)

t.test('deleting what is kept: by tag, by either digest, with the repository', async (t) => {
  const { keep, ports, manifests, tags, index } = await start()
  await keep(KEPT, { tag: 'latest' })
  t.equal(await deleteTag(ports, REPOSITORY, 'latest'), true)
  t.same(await tags(), {})
  t.equal(await deleteTag(ports, REPOSITORY, 'latest'), false)
  for (const digest of [kept, sha512(KEPT)]) {
    await keep(KEPT, { tag: 'latest' })
    t.same(await deleteManifest(ports, REPOSITORY, digest), { outcome: 'deleted' })
    t.same(await deleteManifest(ports, REPOSITORY, digest), { outcome: 'unknown' })
    t.same(await manifests(), [one])
  }
  await keep(KEPT, { tag: 'latest' })
  await deleteRepository(ports, REPOSITORY)
  t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
})

t.test('a manifest is deleted by its sha512', async (t) => {
  const { ports, registry, manifests } = await start()
  t.same(await deleteManifest(ports, REPOSITORY, sha512(TWO)), { outcome: 'unknown' })
  t.same(await deleteManifest(ports, REPOSITORY, sha512(ONE)), { outcome: 'deleted' })
  t.same(await manifests(), [])
  t.equal(registry.manifests.has(one), false)
})

const BLOB = Buffer.from('a blob')
for (const name of ['sha512', 'sha256'] as const) {
  for (const known of [true, false]) {
    t.test(
      `a blob deleted by ${name}, alias ${known ? 'known' : 'lost'}: no name of it is left`,
      async (t) => {
        const { ports, registry, index } = await start()
        const names = { sha512: sha512(BLOB), sha256: digestOf(BLOB) }
        for (const digest of Object.values(names)) registry.blobs.add(digest)
        registry.canonicalNames.set(names.sha512, names.sha256)
        if (known) await index.blobAliases.aliasBlob(REPOSITORY, names.sha512, names.sha256)
        t.equal(await deleteOneBlob(ports, REPOSITORY, names[name]), true)
        // Of a sha256 alone nobody can tell what else it was called.
        t.same([...registry.blobs], known || name === 'sha512' ? [] : [names.sha512])
        t.same([...(await index.blobAliases.aliasesOfBlobs(REPOSITORY, [names.sha512])).keys()], [])
        t.equal(await deleteOneBlob(ports, REPOSITORY, names[name]), false)
      },
    )
  }
}

t.test('with a repository all names of its blobs go, also of those that no manifest names', async (t) => {
  const { ports, registry, index } = await start()
  const names = [sha512(BLOB), digestOf(BLOB)] as const
  for (const digest of names) registry.blobs.add(digest)
  await index.blobAliases.aliasBlob(REPOSITORY, ...names)
  await deleteRepository(ports, REPOSITORY)
  t.same([...registry.blobs], [])
})
