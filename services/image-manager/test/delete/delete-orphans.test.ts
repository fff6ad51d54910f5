import t from 'tap'
import { deleteManifest } from '../../src/delete/delete-manifest.ts'
import { deleteOldOrphans } from '../../src/delete/delete-orphans.ts'
import { deleteRepository } from '../../src/delete/repository-deletion.ts'
import { TWO, one, startFilled } from '../fixtures/filled-repository.ts'
import { REPOSITORY, blobsOf, databaseForTest } from '../fixtures/index-and-registry.ts'
import { killed } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)
const ageOrphans = (ms: number) =>
  db
    .updateTable('repository_blobs')
    .set({ orphaned_at: new Date(Date.now() - ms) })
    .where('orphaned_at', 'is not', null)
    .execute()

t.test('orphans that a killed deletion of a manifest left over are deleted later', async (t) => {
  for (let step = 0; step < 3; step++) {
    const { ports, registry } = await startFilled(db)
    let calls = 0
    registry.before = (call) => (call.startsWith('DELETE blob') && calls++ === step ? killed() : undefined)
    await deleteManifest(ports, REPOSITORY, one).catch(() => undefined)
    registry.before = () => undefined
    t.equal(await deleteOldOrphans(ports), 0, 'not at once: another process may work on them')
    await ageOrphans(130_000)
    await deleteOldOrphans(ports)
    t.same([...registry.blobs].toSorted(), blobsOf(TWO).toSorted(), `killed at step ${step}`)
  }
})

t.test(
  'a blob whose upload ends after the deletion of its repository is deleted, unless it is uploaded again',
  async (t) => {
    const { ports, registry, index } = await startFilled(db)
    const { blobs, deletions } = index
    const late = `sha256:${'1'.repeat(64)}`
    t.equal(await blobs.announceBlob(REPOSITORY, late), true)
    await deleteRepository(ports, REPOSITORY)
    registry.blobs.add(late)
    t.equal(await deletions.beginDeletion(REPOSITORY), undefined, 'the repository is deleted')
    await ageOrphans(7_200_000)
    await deleteOldOrphans(ports)
    t.same([...registry.blobs], [])

    await blobs.announceBlob(REPOSITORY, late)
    await deleteRepository(ports, REPOSITORY)
    registry.blobs.add(late)
    await blobs.announceBlob(REPOSITORY, late)
    await ageOrphans(7_200_000)
    await deleteOldOrphans(ports)
    t.same([...registry.blobs], [late], 'the second announcement keeps the blob')
  },
)
