import t from 'tap'
import { createDeleteRepositories } from '../../src/delete/index.ts'
import { createIndexRepositories } from '../../src/index/index.ts'
import { parseManifest } from '../../src/index/manifest.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { MANIFEST, blobsOf, image } from '../fixtures/index-and-registry.ts'
import { killed } from '../fixtures/memory-registry.ts'

const { ask, fill, db, registry } = await startImageManager(t)
const { manifests, repositories } = createIndexRepositories(db)
const { deletions } = createDeleteRepositories(db)

t.test(
  'DELETE of a repository deletes its content and answers 200 without a body; a repeat answers 404',
  async (t) => {
    const raw = image('one')
    const parsed = parseManifest(raw, MANIFEST)
    if ('malformed' in parsed) throw new Error(parsed.malformed)
    for (const step of [undefined, 0, 1, 2, 3]) {
      await fill({})
      await manifests.putManifest('team/app', parsed.manifest)
      registry.push(raw, MANIFEST, 'latest')
      for (const digest of blobsOf(raw)) registry.blobs.add(digest)
      let calls = 0
      registry.before = () => (calls++ === step ? killed() : undefined)
      if (step !== undefined) {
        const failed = await ask('/team/app', { as: 'alice', method: 'DELETE' })
        t.equal(failed.statusCode, 503, `the registry is unavailable at step ${step}`)
        t.ok(failed.headers['retry-after'])
        t.equal((await ask('/team/app', { as: 'alice' })).statusCode, 404, 'the repository is hidden at once')
      }
      const done = await ask('/team/app', { as: 'alice', method: 'DELETE' })
      t.same([done.statusCode, done.body], [200, ''])
      t.same([...registry.manifests, ...registry.blobs], [])
      t.equal((await ask('/team/app', { as: 'alice', method: 'DELETE' })).statusCode, 404)
    }
  },
)

t.test('an interrupted deletion is visible only to principals who may resume it', async (t) => {
  await fill({ 'other/app': 'global' })
  await deletions.beginDeletion('other/app')
  for (const method of ['GET', 'PUT', 'DELETE'] as const) {
    const { statusCode } = await ask('/other/app', { as: 'alice', method, payload: '{"scope":"global"}' })
    t.equal(statusCode, 404, method)
  }
})

t.test('a repository that was pushed again survives the end of an earlier deletion', async (t) => {
  await fill({ 'team/app': 'namespace' })
  await repositories.removeRepository('team/app')
  t.equal((await ask('/team/app', { as: 'alice' })).statusCode, 200)
})
