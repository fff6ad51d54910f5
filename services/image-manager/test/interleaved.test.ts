import type { Test } from 'tap'
import t from 'tap'
import { readCounts } from '../src/reconcile/counts.ts'
import { createReconcileRepositories } from '../src/reconcile/index.ts'
import { reconcileRepositories } from '../src/reconcile/reconcile-repositories.ts'
import { recordOrUndoPush } from '../src/push/record-or-undo-push.ts'
import { deleteManifest } from '../src/delete/delete-manifest.ts'
import { deleteTag } from '../src/delete/delete-tag.ts'
import { deleteRepository } from '../src/delete/delete-repositories.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  databaseForTest,
  image,
  indexOf,
} from './fixtures/index-and-registry.ts'
import type { Process, Turn } from './fixtures/interleave.ts'
import { everyInTurn, everyInterleaving, inTurn } from './fixtures/interleave.ts'
import { contentsOfIndex, parsed, reachableIn, startReconcile } from './fixtures/reconcile.ts'

/*
 * Concurrent pushes, deletions and reconciles, each interrupted before any of its calls. At the end of both, index and
 * registry must agree.
 */

const db = await databaseForTest(t)
const [ONE, TWO] = [image('one'), image('two')]
const one = parsed(ONE)
const { adoption, comparison, failures } = createReconcileRepositories(db)

type Started = Awaited<ReturnType<typeof startReconcile>>
/** One process. The calls of its ports wait for their turn. */
type Actor = (started: Started, turn: Turn) => Promise<unknown>

const STATES = {
  'an empty repository': async () => {},
  'a recorded image': async ({ registry, index }: Started) => {
    registry.push(ONE, MANIFEST, 'v1')
    await index.manifests.putManifest(REPOSITORY, one)
    await index.tags.setTag(REPOSITORY, 'v1', one.digest, undefined)
  },
  'an image that is not recorded': async ({ registry }: Started) => void registry.push(ONE, MANIFEST, 'v1'),
  'an image index that is not recorded': async ({ registry }: Started) => {
    registry.push(ONE, MANIFEST)
    registry.push(indexOf(ONE), INDEX, 'v1')
  },
  'an image that the registry lost': async ({ index }: Started) => {
    await index.manifests.putManifest(REPOSITORY, one)
    await index.tags.setTag(REPOSITORY, 'v1', one.digest, undefined)
  },
}

/** The registry and every repository of the index, each call of which waits for its turn. */
const portsOf = ({ ports }: Started, turn: Turn) => everyInTurn(ports, turn)

const reconciles: Actor = async (started, turn) =>
  reconcileRepositories(
    {
      ...portsOf(started, turn),
      adoption: inTurn(adoption, turn),
      comparison: inTurn(comparison, turn),
      counts: readCounts(),
      failures,
      retriesAll: false,
      endsWork: () => false,
      onFailure: ({ reference, error }) => {
        throw new Error(`${reference} must not fail here`, { cause: error })
      },
      checkpoint: async () => {},
    },
    [REPOSITORY],
  )

const pushes =
  (raw: Buffer, tag: string | null): Actor =>
  async (started, turn) => {
    const ports = portsOf(started, turn)
    const manifest = parsed(raw)
    const id = await ports.pendingPushes.insertPendingPush({ repository: REPOSITORY, tag, manifest })
    if (id === undefined) return
    await ports.registry.putManifest(REPOSITORY, tag ?? manifest.digest, { raw, mediaType: MANIFEST })
    const pending = await ports.pendingPushes.findPendingPush(id)
    if (pending !== undefined) await recordOrUndoPush(ports, pending)
  }

/** A push that the registry refuses. */
const isRefused =
  (raw: Buffer, tag: string): Actor =>
  async (started, turn) => {
    const { pendingPushes } = portsOf(started, turn)
    const push = { repository: REPOSITORY, tag, manifest: parsed(raw) }
    const id = await pendingPushes.insertPendingPush(push)
    if (id !== undefined) await pendingPushes.removePendingPush(id)
  }

const deletes: Actor = (started, turn) => deleteManifest(portsOf(started, turn), REPOSITORY, one.digest)
const removesLeftovers: Actor = (started, turn) => portsOf(started, turn).pendingPushes.removeLeftovers()
const untags: Actor = (started, turn) => deleteTag(portsOf(started, turn), REPOSITORY, 'v1')
const deletesAll: Actor = (started, turn) => deleteRepository(portsOf(started, turn), REPOSITORY)

async function tryAll(t: Test, state: keyof typeof STATES, first: Actor, second: Actor) {
  const faults: string[] = []
  const tried = await everyInterleaving(async () => {
    const started = await startReconcile(db)
    await STATES[state](started)
    const process =
      (actor: Actor): Process =>
      (turn) =>
        actor(started, turn)
    const check = async (calls: string) => {
      const fault = await faultOf(started)
      if (fault !== undefined) faults.push(`${calls}: ${fault}`)
    }
    return { first: process(first), second: process(second), check }
  })
  t.same(faults, [], `no fault in ${tried} interleavings`)
}

/**
 * The differences of the index: in a tag, in manifests that only it has, or in reachable ones that it does not have.
 * Content that is left as pending is a fault, too.
 */
async function faultOf({ registry, pendingRows, pendingPushes }: Started): Promise<string | undefined> {
  const none = { tags: {}, manifests: [] as string[] }
  const index = (await contentsOfIndex(db))[REPOSITORY] ?? none
  const reachable = reachableIn(registry)[REPOSITORY] ?? none
  const tags = JSON.stringify([index.tags, reachable.tags])
  if (JSON.stringify(index.tags) !== JSON.stringify(reachable.tags)) return `tags ${tags}`
  const more = index.manifests.filter((digest) => !registry.manifests.has(digest))
  const less = reachable.manifests.filter((digest) => !index.manifests.includes(digest))
  if (more.length + less.length > 0) return `too many ${more}, missing ${less}`
  const pending = [...(await pendingRows()), `${await pendingPushes()} pushes`]
  return pending.length === 1 && pending[0] === '0 pushes' ? undefined : `pending: ${pending}`
}

const KNOWN = 'a recorded image'
const UNRECORDED = 'an image that is not recorded'
const LOST = 'an image that the registry lost'
const PARENT = 'an image index that is not recorded'
const CASES: readonly [string, keyof typeof STATES, Actor, Actor][] = [
  ['reconcile and a push of a new tag', KNOWN, reconciles, pushes(TWO, 'v2')],
  ['reconcile and a push that moves a tag', KNOWN, reconciles, pushes(TWO, 'v1')],
  ['reconcile and a push by digest', UNRECORDED, reconciles, pushes(TWO, null)],
  ['reconcile and a repeated push', LOST, reconciles, pushes(ONE, 'v1')],
  ['reconcile and a repeated push by another tag', LOST, reconciles, pushes(ONE, 'v2')],
  ['reconcile and the deletion of an image', KNOWN, reconciles, deletes],
  ['reconcile and the deletion of an image that is not recorded', UNRECORDED, reconciles, deletes],
  ['reconcile and the deletion of a tag', KNOWN, reconciles, untags],
  ['reconcile and the deletion of a tag that is not recorded', UNRECORDED, reconciles, untags],
  ['reconcile and the deletion of the repository', KNOWN, reconciles, deletesAll],
  ['reconcile and the deletion of a repository that is not recorded', UNRECORDED, reconciles, deletesAll],
  ['reconcile and a push that moves a tag that is not recorded', UNRECORDED, reconciles, pushes(TWO, 'v1')],
  ['reconcile and a repeated push of a tag that is not recorded', UNRECORDED, reconciles, pushes(ONE, 'v1')],
  ['reconcile and the deletion of an image of an image index', PARENT, reconciles, deletes],
  ['two reconciles', UNRECORDED, reconciles, reconciles],
  ['a first push and the deletion of its image', 'an empty repository', pushes(ONE, 'v1'), deletes],
  ['a repeated push and the deletion of its image', KNOWN, pushes(ONE, 'v1'), deletes],
  ['a push by another tag and the deletion of its image', KNOWN, pushes(ONE, 'v2'), deletes],
  ['a push by digest and the deletion of its image', 'an empty repository', pushes(ONE, null), deletes],
  ['a first push and the deletion of its tag', 'an empty repository', pushes(ONE, 'v1'), untags],
  ['a push that moves a tag and the deletion of that tag', KNOWN, pushes(TWO, 'v1'), untags],
  ['a first push and reconcile', 'an empty repository', pushes(ONE, 'v1'), reconciles],
  ['a first push and the deletion of the repository', 'an empty repository', pushes(ONE, 'v1'), deletesAll],
  ['a push by another tag and the deletion of the repository', KNOWN, pushes(ONE, 'v2'), deletesAll],
  ['a push of a new tag and the deletion of the last recorded image', KNOWN, pushes(TWO, 'v2'), deletes],
  ['a push by another tag and the deletion of the first tag', KNOWN, pushes(ONE, 'v2'), untags],
  ['two pushes of one image by different tags', 'an empty repository', pushes(ONE, 'v1'), pushes(ONE, 'v2')],
  ['two pushes of one image by one tag', 'an empty repository', pushes(ONE, 'v1'), pushes(ONE, 'v1')],
  [
    'a push of an image and a refused one of it',
    'an empty repository',
    pushes(ONE, 'v1'),
    isRefused(ONE, 'v2'),
  ],
  ['a first push and a refused one', 'an empty repository', pushes(ONE, 'v1'), isRefused(TWO, 'v1')],
  ['a refused push and the deletion of the last image', KNOWN, isRefused(TWO, 'v2'), deletes],
  ['a first push and the removal of leftovers', 'an empty repository', pushes(ONE, 'v1'), removesLeftovers],
  ['two pushes of one tag', KNOWN, pushes(ONE, 'v1'), pushes(TWO, 'v1')],
]
for (const [what, state, first, second] of CASES) {
  t.test(`index and registry agree after ${what}, however interleaved, from ${state}`, (t) =>
    tryAll(t, state, first, second),
  )
}
