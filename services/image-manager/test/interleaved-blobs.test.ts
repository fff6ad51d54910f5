import type { Test } from 'tap'
import t from 'tap'
import { announceManifest } from '../src/push/announce-manifest.ts'
import { parseManifest } from '../src/index/manifest.ts'
import { recordOrUndoPush } from '../src/push/record-or-undo-push.ts'
import { deleteManifest } from '../src/delete/delete-manifest.ts'
import { deleteRepository } from '../src/delete/delete-repositories.ts'
import { INDEX, MANIFEST, REPOSITORY, databaseForTest, indexOf } from './fixtures/index-and-registry.ts'
import type { Process, Turn } from './fixtures/interleave.ts'
import { everyInTurn, everyInterleaving } from './fixtures/interleave.ts'
import { digestOf } from './fixtures/memory-registry.ts'
import { startReconcile } from './fixtures/reconcile.ts'

/*
 * Deletions concurrent with pushes that share blobs with the deleted content, each interrupted before any of its calls.
 * At the end of both, every manifest of the index is complete, and no unreferenced blob is left.
 */

const db = await databaseForTest(t)
/** An image of one layer, which all images share. Every further layer would multiply the interleavings. */
const imageOf = (text: string) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      layers: [{ digest: digestOf(Buffer.from('shared')) }],
      annotations: { text },
    }),
  )
const blobsOf = (raw: Buffer): string[] =>
  JSON.parse(raw.toString()).layers.map(({ digest }: { digest: string }) => digest)
const [ONE, TWO] = [imageOf('one'), imageOf('two')]
const BOTH = indexOf(ONE, TWO)

type Started = Awaited<ReturnType<typeof startReconcile>>
type State = (started: Started) => Promise<unknown>
type Actor = (started: Started, turn: Turn) => Promise<unknown>

/** The registry and every repository of the index, each call of which waits for its turn. */
const portsOf = ({ ports }: Started, turn: Turn) => everyInTurn(ports, turn)

/** Pushes as the proxy does. The registry checks the references and stores the manifest in one step. */
const pushes =
  (raw: Buffer, type: string, tag: string | null, uploads: boolean): Actor =>
  async (started, turn) => {
    const ports = portsOf(started, turn)
    const reference = tag === null ? { digest: digestOf(raw) } : { tag }
    const blobs = type === INDEX ? [] : blobsOf(raw)
    for (const digest of uploads ? blobs : []) {
      if (!(await ports.blobs.announceBlob(REPOSITORY, digest))) return
      // The upload ends after its announcement.
      await turn()
      started.registry.blobs.add(digest)
    }
    const announced = await announceManifest(ports, { repository: REPOSITORY, reference, type, raw })
    if (announced.outcome !== 'announced') return
    await turn()
    const { registry } = started
    const children = type === INDEX ? [digestOf(ONE), digestOf(TWO)] : []
    const isWhole =
      blobs.every((one) => registry.blobs.has(one)) && children.every((one) => registry.manifests.has(one))
    if (!isWhole) return ports.pendingPushes.removePendingPush(announced.id)
    registry.push(raw, type, tag ?? undefined)
    const pending = await ports.pendingPushes.findPendingPush(announced.id)
    return pending && recordOrUndoPush(ports, pending)
  }

const deletes =
  (raw: Buffer): Actor =>
  (started, turn) =>
    deleteManifest(portsOf(started, turn), REPOSITORY, digestOf(raw), { unlessInUse: true })
const deletesAll: Actor = (started, turn) => deleteRepository(portsOf(started, turn), REPOSITORY)

/** A state with a recorded push. */
const holds =
  (raw: Buffer, type: string, tag: string) =>
  async ({ registry, index }: Started) => {
    const parsed = parseManifest(raw, type)
    if ('malformed' in parsed) throw new Error(parsed.malformed)
    for (const digest of type === INDEX ? [] : blobsOf(raw)) {
      await index.blobs.announceBlob(REPOSITORY, digest)
      registry.blobs.add(digest)
    }
    registry.push(raw, type, tag)
    await index.manifests.putManifest(REPOSITORY, parsed.manifest)
    await index.tags.setTag(REPOSITORY, tag, parsed.manifest.digest, undefined)
  }

async function tryAll(t: Test, before: readonly State[], first: Actor, second: Actor) {
  const faults: string[] = []
  const tried = await everyInterleaving(async () => {
    const started = await startReconcile(db)
    for (const state of before) await state(started)
    const process =
      (actor: Actor): Process =>
      (turn) =>
        actor(started, turn)
    const check = async (calls: string) => {
      for (const fault of await faultsOf(started)) faults.push(`${calls}: ${fault}`)
    }
    return { first: process(first), second: process(second), check }
  })
  t.same(faults, [], `no fault in ${tried} interleavings`)
}

async function faultsOf({ registry, index, pendingRows }: Started): Promise<string[]> {
  const references = await db
    .selectFrom('manifest_references')
    .select(['digest', 'kind', 'manifest_digest'])
    .execute()
  const isThere = ({ digest, kind }: { digest: string; kind: string }) =>
    kind === 'manifest' ? registry.manifests.has(digest) : registry.blobs.has(digest)
  const broken = references.filter((one) => !isThere(one))
  const named = new Set(references.map(({ digest }) => digest))
  const known = new Set(await index.blobs.listBlobs(REPOSITORY, '', 500))
  const marks = await db.selectFrom('pending_removals').select('digest').execute()
  return [
    ...broken.map((one) => `${one.manifest_digest} is recorded, but ${one.digest} does not exist`),
    // A blob whose push was refused stays known: it is deleted with its repository.
    ...[...registry.blobs]
      .filter((one) => !named.has(one) && !known.has(one))
      .map((one) => `${one} is left although nothing references it`),
    ...(await pendingRows()).map((one) => `${one} is still pending`),
    ...marks.map(({ digest }) => `${digest} is still marked as being removed`),
  ]
}

const [HOLDS_ONE, HOLDS_TWO] = [holds(ONE, MANIFEST, 'v1'), holds(TWO, MANIFEST, 'v2')]
const [UPLOADS_ONE, UPLOADS_TWO] = [pushes(ONE, MANIFEST, 'v1', true), pushes(TWO, MANIFEST, 'v2', true)]
const CASES: readonly [string, readonly State[], Actor, Actor][] = [
  ['the deletion of an image and a push that shares a layer with it', [HOLDS_ONE], deletes(ONE), UPLOADS_TWO],
  [
    'the deletion of an image and a push that uploads no blobs',
    [HOLDS_ONE],
    deletes(ONE),
    pushes(ONE, MANIFEST, 'again', false),
  ],
  ['the deletions of two images that share a layer', [HOLDS_ONE, HOLDS_TWO], deletes(ONE), deletes(TWO)],
  [
    'the deletion of an image and the push of an image index of it',
    [HOLDS_ONE, HOLDS_TWO],
    deletes(ONE),
    pushes(BOTH, INDEX, 'both', false),
  ],
  ['the deletion of the repository and a push of the same image', [HOLDS_ONE], deletesAll, UPLOADS_ONE],
]
for (const [what, before, first, second] of CASES) {
  t.test(`manifests stay complete and no blob is left after ${what}, however interleaved`, (t) =>
    tryAll(t, before, first, second),
  )
}
