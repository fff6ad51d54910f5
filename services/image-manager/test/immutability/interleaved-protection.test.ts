import t from 'tap'
import { createDeletion } from '../../src/delete/index.ts'
import { createPush } from '../../src/push/index.ts'
import {
  MANIFEST,
  REPOSITORY,
  blobsOf,
  databaseForTest,
  image,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import type { Turn } from '../fixtures/interleave.ts'
import { everyInTurn, everyInterleaving } from '../fixtures/interleave.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

/*
 * Pushes of an immutable tag and another change at the same time, each interrupted before any of its calls: a push that
 * was acknowledged keeps its tag, its manifest and its blobs.
 */

const db = await databaseForTest(t)
const [ONE, TWO] = [image('one'), image('two')]
const one = digestOf(ONE)
const [blob = ''] = blobsOf(ONE)

type Ports = Awaited<ReturnType<typeof startIndex>>['ports']

/** Pushes as registry-proxy does. Returns whether the push was acknowledged. */
async function push(ports: Ports, raw: Buffer, tag: string): Promise<boolean> {
  const { announce, record, discard } = createPush(ports)
  const announced = await announce({ repository: REPOSITORY, reference: { tag }, type: MANIFEST, raw })
  if (announced.outcome !== 'announced') return false
  const found = await Promise.all(blobsOf(raw).map((digest) => ports.registry.headBlob(REPOSITORY, digest)))
  if (found.includes(undefined)) {
    await discard(announced.id)
    return false
  }
  await ports.registry.putManifest(REPOSITORY, tag, { raw, mediaType: MANIFEST })
  return (await record(announced.id))?.digest === digestOf(raw)
}

const OTHERS: Readonly<Record<string, (ports: Ports) => Promise<unknown>>> = {
  'a push of another image by the same tag': (ports) => push(ports, TWO, 'v1'),
  'the deletion of the tag': (ports) => createDeletion(ports, 0).deleteTag(REPOSITORY, 'v1'),
  'the deletion of the image': (ports) => createDeletion(ports, 0).deleteManifest(REPOSITORY, one),
  'the deletion of a layer': (ports) => createDeletion(ports, 0).deleteBlob(REPOSITORY, blob),
  'the deletion of the repository': (ports) => createDeletion(ports, 0).deleteRepository(REPOSITORY),
}

for (const [what, other] of Object.entries(OTHERS)) {
  t.test(`a push of an immutable tag that is acknowledged survives ${what}`, async (t) => {
    const faults: string[] = []
    const acknowledged: boolean[] = []
    const tried = await everyInterleaving(async () => {
      const { ports, registry, tags, index } = await startIndex(db)
      for (const digest of [...blobsOf(ONE), ...blobsOf(TWO)]) registry.blobs.add(digest)
      // The image has another tag, so that there is something to delete.
      if (!what.startsWith('a push')) await push(ports, ONE, 'latest')
      const rule = { name: 'releases', repositories: 'team/*', tags: 'v*' }
      await index.tagRules.replaceRules('team', [rule])
      let isPushed = false
      const inTurn = (turn: Turn) => everyInTurn(ports, turn)
      return {
        first: async (turn) => {
          isPushed = await push(inTurn(turn), ONE, 'v1')
        },
        second: (turn) => other(inTurn(turn)),
        check: async (calls) => {
          acknowledged.push(isPushed)
          if (!isPushed) return
          const has = [(await tags())['v1'], registry.tags.get('v1')]
          if (has.some((digest) => digest !== one)) faults.push(`${calls}: v1 is ${has}`)
          if (blobsOf(ONE).some((digest) => !registry.blobs.has(digest))) faults.push(`${calls}: lost a blob`)
        },
      }
    })
    t.strictSame(faults, [], `no fault in ${tried} interleavings`)
    t.ok(acknowledged.includes(true), 'some pushes pass')
  })
}
