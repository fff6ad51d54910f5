import { ServiceCallError } from '@registry-manager/http'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import { createOrphanSchedule } from '../../src/delete/index.ts'
import { deleteManifest } from '../../src/delete/delete-manifest.ts'
import { deleteOldOrphans } from '../../src/delete/delete-orphans.ts'
import { deleteRepository } from '../../src/delete/delete-repositories.ts'
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

t.test(
  'the stop of the service aborts the deletion of orphans at a registry that does not respond',
  async (t) => {
    const { ports, index } = await startFilled(db)
    const { blobs } = index
    const repositories = ['team/one', 'team/two']
    for (const repository of repositories) {
      await blobs.announceBlob(repository, `sha256:${'2'.repeat(64)}`)
      await blobs.markOrphans(repository, [`sha256:${'2'.repeat(64)}`])
    }
    await ageOrphans(7_200_000)
    const called = new Set<string>()
    const createRegistry = (signal: AbortSignal) => ({
      ...ports.registry,
      deleteBlob: (repository: string) => {
        called.add(repository)
        return new Promise<boolean>((_, reject) => {
          signal.addEventListener('abort', () =>
            reject(new ServiceCallError('aborted', { dependency: 'registry' })),
          )
        })
      },
    })
    const warnings: unknown[] = []
    const log = { info: () => undefined, warn: (warning: unknown) => void warnings.push(warning) }
    const schedule = createOrphanSchedule({ ...ports, createRegistry }, log, 1)
    schedule.start()
    await until(() => called.size > 0)
    await schedule.stop()
    t.equal(called.size, 1, 'the orphans of the other repository wait for the next start')
    t.same(warnings, [], 'a stop is no failure')
  },
)

t.test('the deletion of orphans ends between two repositories when its signal is aborted', async (t) => {
  const { ports, registry, index } = await startFilled(db)
  for (const repository of ['team/one', 'team/two']) {
    await index.blobs.announceBlob(repository, `sha256:${'3'.repeat(64)}`)
    await index.blobs.markOrphans(repository, [`sha256:${'3'.repeat(64)}`])
  }
  await ageOrphans(7_200_000)
  const stop = new AbortController()
  registry.before = () => stop.abort(new Error('stopped'))
  await t.rejects(deleteOldOrphans(ports, stop.signal), { message: 'stopped' })
  t.equal(registry.calls.length, 1, 'requests to the registry')
})
