import t from 'tap'
import { startImageManager } from '../fixtures/image-manager.ts'
import { INDEX, MANIFEST, image } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const layers = Array.from({ length: 5000 }, (_, at) => ({
  mediaType: 'x/layer',
  digest: `sha256:${at.toString(16).padStart(64, '0')}`,
  size: 1,
}))
const LARGE = bytes({ schemaVersion: 2, mediaType: DOCKER, layers })
const OTHER_CASE = bytes({ schemaVersion: 2, mediaType: MANIFEST, Layers: layers.slice(0, 2) })
const NESTED = bytes({
  schemaVersion: 2,
  mediaType: INDEX,
  manifests: [{ mediaType: DOCKER, digest: digestOf(LARGE), size: LARGE.length }, ...layers.slice(0, 4096)],
})

const { ask, fill, registry } = await startImageManager(t)

for (const [description, raw, type] of [
  ['a manifest with too many layers', LARGE, DOCKER],
  ['a manifest with a key in another case', OTHER_CASE, MANIFEST],
  ['an image index of a manifest with too many layers', NESTED, INDEX],
] as const) {
  t.test(`a repository whose only manifest the index refuses can be deleted: ${description}`, async (t) => {
    await fill({})
    registry.push(raw, type, 'v1')
    registry.push(LARGE, DOCKER)
    if (raw !== NESTED && raw !== LARGE) registry.manifests.delete(digestOf(LARGE))
    for (const { digest } of layers.slice(0, 20)) registry.blobs.add(digest)
    t.equal((await ask('/team/app', { as: 'alice' })).statusCode, 404, 'the repository is not visible')
    const { statusCode } = await ask('/team/app', { as: 'alice', method: 'DELETE' })
    t.equal(statusCode, 200)
    t.same([...registry.manifests.keys(), ...registry.tags.keys()], [])
    if (raw !== OTHER_CASE) t.same([...registry.blobs], [], 'its blobs are deleted')
    registry.blobs.clear()
    t.equal(
      (await ask('/team/app', { as: 'alice', method: 'DELETE' })).statusCode,
      404,
      'a repeat finds nothing',
    )
  })
}

t.test(
  'an unknown repository causes a request to the registry only if the principal may delete it',
  async (t) => {
    await fill({})
    registry.push(image('one'), MANIFEST, 'v1', 'other/app')
    registry.calls.splice(0)
    for (const as of ['alice', 'robot'] as const) {
      t.equal((await ask('/other/app', { as, method: 'DELETE' })).statusCode, 404, as)
    }
    t.same(registry.calls, [])
    t.equal((await ask('/other/app', { as: 'root', method: 'DELETE' })).statusCode, 200)
    t.equal(registry.repositories.get('other/app')?.manifests.size, 0)
  },
)
