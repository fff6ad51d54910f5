import t from 'tap'
import { deleteRepository } from '../../src/delete/delete-repositories.ts'
import { ONE, TWO, both, one, startFilled, two } from '../fixtures/filled-repository.ts'
import { REPOSITORY, blobsOf, databaseForTest, image } from '../fixtures/index-and-registry.ts'
import { killed } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)
const blobs = new Set([ONE, TWO].flatMap(blobsOf))

t.test('no upload is announced while the repository is being deleted', async (t) => {
  const { index } = await startFilled(db)
  await index.deletions.beginDeletion(REPOSITORY)
  t.equal(await index.blobs.announceBlob(REPOSITORY, one), false)
  t.equal(await index.blobs.announceBlob('team/other', one), true)
})

t.test('deleting a repository deletes image indexes, then images, then blobs, each once', async (t) => {
  const { ports, registry, index, manifests, tags } = await startFilled(db)
  await deleteRepository(ports, REPOSITORY)
  t.equal(registry.calls[0], `DELETE manifest ${both}`)
  t.same(
    registry.calls.slice(1, 3).toSorted(),
    [`DELETE manifest ${one}`, `DELETE manifest ${two}`].toSorted(),
  )
  const deletions = [...blobs].map((digest) => `DELETE blob ${digest}`)
  // The last request asks whether the registry's tags reach anything else.
  t.same(registry.calls.slice(3).toSorted(), [...deletions, `GET tags ${REPOSITORY}`].toSorted())
  t.same([...registry.manifests, ...registry.tags, ...registry.blobs], [])
  t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
  t.same([await manifests(), await tags()], [[], {}])
})

for (const when of ['before', 'after'] as const) {
  t.test(
    `a deletion that is killed ${when} any step hides the repository, and the next call finishes it`,
    async (t) => {
      const steps = 8
      for (let step = 0; step < steps; step++) {
        const { ports, registry, index } = await startFilled(db)
        const { repositories, visibleRepositories, deletions } = index
        let calls = 0
        registry[when] = () => (calls++ === step ? killed() : undefined)
        await t.rejects(
          deleteRepository(ports, REPOSITORY),
          { message: 'killed in the middle' },
          `killed at step ${step}`,
        )
        t.equal(await repositories.findRepository(REPOSITORY), undefined, 'it is not found')
        const page = { limit: 10, after: '' }
        t.same(await visibleRepositories.listRepositories({ kind: 'all' }, page), [], 'it is not listed')
        t.equal(await deletions.isBeingDeleted(REPOSITORY), true)
        registry[when] = () => undefined
        await deleteRepository(ports, REPOSITORY)
        t.same([...registry.manifests, ...registry.tags, ...registry.blobs], [], 'nothing is left')
        t.equal(await deletions.isBeingDeleted(REPOSITORY), false)
      }
    },
  )
}

t.test(
  'a blob is deleted if the only push that references it is discarded during the deletion',
  async (t) => {
    const { ports, registry, index, announce } = await startFilled(db)
    const pending = await announce(image('three'), null)
    registry.before = async (call) => {
      if (call.startsWith('DELETE blob')) await index.pendingPushes.removePendingPush(pending.id)
    }
    await deleteRepository(ports, REPOSITORY)
    t.same([...registry.blobs], [])
  },
)
