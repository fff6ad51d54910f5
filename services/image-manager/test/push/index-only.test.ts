import t from 'tap'
import { announceManifest } from '../../src/push/announce-manifest.ts'
import { syncTag } from '../../src/index/sync-tag.ts'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { deleteOneBlob } from '../../src/delete/delete-blobs.ts'
import { deleteManifest } from '../../src/delete/delete-manifest.ts'
import { deleteTag } from '../../src/delete/delete-tag.ts'
import { deleteRepository } from '../../src/delete/delete-repositories.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  databaseForTest,
  image,
  indexBySha512,
} from '../fixtures/index-and-registry.ts'
import { digestOf, sha512Of } from '../fixtures/memory-registry.ts'
import { startReconcile } from '../fixtures/reconcile.ts'

const db = await databaseForTest(t)
const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]
const INDEX_ONLY = indexBySha512(ONE)
const indexOnly = digestOf(INDEX_ONLY)

/** Starts with one image that was pushed by digest. */
async function start() {
  const started = await startReconcile(db)
  const { ports, registry, announce } = started
  const push = async (raw: Buffer, tag: string | null) => {
    const pending = await announce(raw, tag)
    registry.push(raw, MANIFEST, tag ?? undefined)
    await recordOrUndoPush(ports, pending)
  }
  const pushIndexOnly = (raw: Buffer, reference: { tag: string } | { digest: string }) =>
    announceManifest(ports, { repository: REPOSITORY, reference, type: INDEX, raw })
  await push(ONE, null)
  return { ...started, push, pushIndexOnly }
}

t.test('a manifest is found by its sha256 and by its sha512 digest', async (t) => {
  const { index } = await start()
  for (const digest of [one, sha512Of(ONE)]) {
    t.match(await index.manifestLookup.findManifest(REPOSITORY, { digest }), {
      digest: one,
      indexOnly: false,
      raw: ONE,
    })
    t.equal(await index.manifests.hasManifest(REPOSITORY, digest), true)
  }
  t.equal(await index.manifestLookup.findManifest(REPOSITORY, { digest: sha512Of(TWO) }), undefined)
})

t.test(
  'an image index with sha512 children is stored in the index only, never in the registry',
  async (t) => {
    const { pushIndexOnly, index, registry, tags, pendingPushes } = await start()
    registry.calls.splice(0)
    t.same(await pushIndexOnly(INDEX_ONLY, { tag: 'multi' }), {
      outcome: 'index-only',
      digest: indexOnly,
      subject: null,
    })
    t.same(await tags(), { multi: indexOnly })
    t.match(await index.manifestLookup.findManifest(REPOSITORY, { tag: 'multi' }), {
      digest: indexOnly,
      indexOnly: true,
      raw: INDEX_ONLY,
    })
    t.equal(await pendingPushes(), 0)
    t.notOk(registry.calls.some((call) => call.startsWith('PUT')))
  },
)

t.test('an index-only manifest whose children do not exist is refused and not stored', async (t) => {
  const { pushIndexOnly, manifests, tags } = await start()
  const answer = await pushIndexOnly(indexBySha512(ONE, TWO), { tag: 'multi' })
  t.match(answer, { outcome: 'refused', code: 'MANIFEST_BLOB_UNKNOWN', message: new RegExp(sha512Of(TWO)) })
  t.same(await manifests(), [one])
  t.same(await tags(), {})
})

t.test('an index-only manifest pushed by another digest is refused', async (t) => {
  const { pushIndexOnly } = await start()
  for (const digest of [sha512Of(ONE), one]) {
    t.match(await pushIndexOnly(INDEX_ONLY, { digest }), { outcome: 'refused', code: 'DIGEST_INVALID' })
  }
  t.match(await pushIndexOnly(INDEX_ONLY, { digest: sha512Of(INDEX_ONLY) }), {
    outcome: 'index-only',
    digest: indexOnly,
  })
})

t.test('the last push of a tag wins between the registry and an index-only manifest', async (t) => {
  const { pushIndexOnly, push, registry, tags } = await start()
  await push(TWO, 'latest')
  await pushIndexOnly(INDEX_ONLY, { tag: 'latest' })
  t.same(await tags(), { latest: indexOnly })
  t.same([...registry.tags], [], 'the registry’s tag is deleted')
  t.ok(registry.manifests.has(two), 'the image stays in the registry')
  await push(TWO, 'latest')
  t.same(await tags(), { latest: two })
})

t.test('syncing a tag with the registry leaves the tag of an index-only manifest', async (t) => {
  const { pushIndexOnly, ports, tags } = await start()
  await pushIndexOnly(INDEX_ONLY, { tag: 'latest' })
  await syncTag(ports, REPOSITORY, 'latest')
  t.same(await tags(), { latest: indexOnly })
})

for (const first of ['index-only', 'ordinary'] as const) {
  t.test(
    `after concurrent ordinary and index-only pushes, ${first} first, index and registry agree`,
    async (t) => {
      const { pushIndexOnly, push, index, registry } = await start()
      const pushes = [() => pushIndexOnly(INDEX_ONLY, { tag: 'latest' }), () => push(TWO, 'latest')]
      if (first === 'ordinary') pushes.reverse()
      await Promise.all(pushes.map((begin) => begin()))
      const found = await index.manifestLookup.findManifest(REPOSITORY, { tag: 'latest' })
      t.ok(found)
      t.equal(registry.tags.get('latest'), found?.indexOnly === true ? undefined : two)
    },
  )
}

t.test(
  'reconcile leaves an index-only manifest and its tag until the registry has a tag of that name',
  async (t) => {
    const { pushIndexOnly, registry, run, manifests, tags } = await start()
    const other = Buffer.from(`${INDEX_ONLY.toString()} `)
    await pushIndexOnly(INDEX_ONLY, { tag: 'latest' })
    await pushIndexOnly(other, { digest: sha512Of(other) })
    t.match((await run())?.counts, { manifestsRemoved: 0, tagsRemoved: 0, failures: 0 })
    t.same(await manifests(), [one, indexOnly, digestOf(other)].toSorted())
    t.same(await tags(), { latest: indexOnly })
    registry.push(TWO, MANIFEST, 'latest')
    t.match((await run())?.counts, { manifestsAdopted: 1, tagsChanged: 1, manifestsRemoved: 0 })
    t.same(await tags(), { latest: two })
  },
)

t.test('an index-only manifest is deleted by tag, by either digest, and with its repository', async (t) => {
  const { pushIndexOnly, ports, manifests, tags, index } = await start()
  await pushIndexOnly(INDEX_ONLY, { tag: 'latest' })
  t.equal(await deleteTag(ports, REPOSITORY, 'latest'), true)
  t.same(await tags(), {})
  t.equal(await deleteTag(ports, REPOSITORY, 'latest'), false)
  for (const digest of [indexOnly, sha512Of(INDEX_ONLY)]) {
    await pushIndexOnly(INDEX_ONLY, { tag: 'latest' })
    t.same(await deleteManifest(ports, REPOSITORY, digest), { outcome: 'deleted' })
    t.same(await deleteManifest(ports, REPOSITORY, digest), { outcome: 'unknown' })
    t.same(await manifests(), [one])
  }
  await pushIndexOnly(INDEX_ONLY, { tag: 'latest' })
  await deleteRepository(ports, REPOSITORY)
  t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
})

t.test('a manifest is deleted by its sha512 digest', async (t) => {
  const { ports, registry, manifests } = await start()
  t.same(await deleteManifest(ports, REPOSITORY, sha512Of(TWO)), { outcome: 'unknown' })
  t.same(await deleteManifest(ports, REPOSITORY, sha512Of(ONE)), { outcome: 'deleted' })
  t.same(await manifests(), [])
  t.equal(registry.manifests.has(one), false)
})

const BLOB = Buffer.from('a blob')
for (const name of ['sha512', 'sha256'] as const) {
  for (const known of [true, false]) {
    t.test(
      `a blob deleted by ${name} with its alias ${known ? 'known' : 'lost'} leaves no known digest`,
      async (t) => {
        const { ports, registry, index } = await start()
        const names = { sha512: sha512Of(BLOB), sha256: digestOf(BLOB) }
        for (const digest of Object.values(names)) registry.blobs.add(digest)
        registry.canonicalNames.set(names.sha512, names.sha256)
        if (known) await index.blobAliases.aliasBlob(REPOSITORY, names.sha512, names.sha256)
        t.equal(await deleteOneBlob(ports, REPOSITORY, names[name]), true)
        // A sha256 without an alias does not lead to the blob's sha512.
        t.same([...registry.blobs], known || name === 'sha512' ? [] : [names.sha512])
        t.same([...(await index.blobAliases.aliasesOfBlobs(REPOSITORY, [names.sha512])).keys()], [])
        t.equal(await deleteOneBlob(ports, REPOSITORY, names[name]), false)
      },
    )
  }
}

t.test('the deletion of a repository deletes all digests of its blobs, referenced or not', async (t) => {
  const { ports, registry, index } = await start()
  const names = [sha512Of(BLOB), digestOf(BLOB)] as const
  for (const digest of names) registry.blobs.add(digest)
  await index.blobAliases.aliasBlob(REPOSITORY, ...names)
  await deleteRepository(ports, REPOSITORY)
  t.same([...registry.blobs], [])
})
