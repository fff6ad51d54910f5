import t from 'tap'
import { parseManifest } from '../../src/index/manifest.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { MANIFEST, blobsOf, image, repositoriesOf } from '../fixtures/index-and-registry.ts'
import { killed } from '../fixtures/memory-registry.ts'

const { ask, fill, db, registry } = await startImageManager(t)

t.test('a deletion: everything goes, the answer is empty, and the second is 404', async (t) => {
  const raw = image('one')
  const parsed = parseManifest(raw, MANIFEST)
  if ('malformed' in parsed) throw new Error(parsed.malformed)
  for (const step of [undefined, 0, 1, 2, 3]) {
    await fill({})
    await repositoriesOf(db).manifests.putManifest('team/app', parsed.manifest)
    registry.push(raw, MANIFEST, 'latest')
    for (const digest of blobsOf(raw)) registry.blobs.add(digest)
    let calls = 0
    registry.before = () => (calls++ === step ? killed() : undefined)
    if (step !== undefined) {
      const failed = await ask('/team/app', { as: 'alice', method: 'DELETE' })
      t.equal(failed.statusCode, 503, `the registry is away at step ${step}`)
      t.ok(failed.headers['retry-after'])
      t.equal((await ask('/team/app', { as: 'alice' })).statusCode, 404, 'it is gone already')
    }
    const done = await ask('/team/app', { as: 'alice', method: 'DELETE' })
    t.same([done.statusCode, done.body], [200, ''])
    t.same([...registry.manifests, ...registry.blobs], [])
    t.equal((await ask('/team/app', { as: 'alice', method: 'DELETE' })).statusCode, 404)
  }
})

t.test('a deletion that broke off is not to be seen by those who may not go on with it', async (t) => {
  await fill({ 'other/app': 'global' })
  await repositoriesOf(db).deletions.beginDeletion('other/app')
  for (const method of ['GET', 'PUT', 'DELETE'] as const) {
    const { statusCode } = await ask('/other/app', { as: 'alice', method, payload: '{"scope":"global"}' })
    t.equal(statusCode, 404, method)
  }
})

t.test('a repository that was pushed anew outlives the end of an older deletion', async (t) => {
  await fill({ 'team/app': 'namespace' })
  await repositoriesOf(db).repositories.removeRepository('team/app', new Map())
  t.equal((await ask('/team/app', { as: 'alice' })).statusCode, 200)
})
