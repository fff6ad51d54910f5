import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:http'
import type { Test } from 'tap'
import t from 'tap'
import { environmentInKubernetes } from '../../settings/test/fixtures/kubernetes-env.ts'
import { workloadsOf } from './fixtures/pods.ts'
import { deletion, findRegistryBinary } from './fixtures/registry-with-s3.ts'
import { kustomizeIsMissing, renderOverlays } from './fixtures/render.ts'

const missing = (await kustomizeIsMissing()) || (findRegistryBinary() === undefined && 'no registry binary')
const CACHING = /using inmemory blob descriptor cache/

/** An S3 without objects. */
async function startEmptyS3(t: Test): Promise<{ readonly url: string; readonly requested: string[] }> {
  const requested: string[] = []
  const server = createServer((request, response) => {
    requested.push(request.url ?? '')
    response.writeHead(404, { 'content-type': 'application/xml' })
    response.end(request.method === 'HEAD' ? undefined : '<Error><Code>NoSuchKey</Code></Error>')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requested }
}

t.test('a registry with several replicas has no cache of its own', { skip: missing }, async (t) => {
  const { overlays } = await renderOverlays(t)
  const several = Object.entries(overlays).filter(([, manifests]) =>
    workloadsOf(manifests).some(({ name, replicas = 1 }) => name === 'registry' && replicas > 1),
  )
  t.ok(several.length > 0)
  for (const [overlay, manifests] of several) {
    const env = environmentInKubernetes(manifests, 'registry', (key) => `of ${key}`)
    const caching = Object.keys(env).filter((name) => name.startsWith('REGISTRY_STORAGE_CACHE'))
    t.same(caching, [], `${overlay}: no cache, which would serve blobs that another replica deleted`)
    t.ok(
      env['REGISTRY_STORAGE'],
      `${overlay}: REGISTRY_STORAGE replaces the storage of config.yml, its cache included`,
    )
  }
})

t.test(
  "distribution uses the production overlay's S3 instead of our configuration's folder",
  { skip: missing },
  async (t) => {
    const { overlays } = await renderOverlays(t)
    const env = environmentInKubernetes(overlays.production, 'registry', (key) => `of ${key}`)
    t.match(env, { REGISTRY_STORAGE: 's3', REGISTRY_AUTH_TOKEN_ISSUER: '"registry.example.com"' })
    const s3 = await startEmptyS3(t)
    const ours = { ...env, REGISTRY_STORAGE_S3_REGIONENDPOINT: s3.url }
    const { REGISTRY_STORAGE_DELETE_ENABLED: _, ...withoutDeletion }: Record<string, string> = ours
    t.match(
      await deletion(t, 'without', withoutDeletion),
      { status: 405 },
      'the storage section of the file, which permits deletion, is replaced',
    )
    const withDeletion = await deletion(t, 'with', ours)
    t.equal(withDeletion.status, 404, 'deletion is permitted')
    t.notMatch(withDeletion.log, CACHING, 'there is no cache')
    const caching = { ...ours, REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'inmemory' }
    t.match(await deletion(t, 'caching', caching), { log: CACHING }, 'a cache would be logged')
    t.ok(
      s3.requested.some((url) => url.includes('/example/') && url.includes('team/app')),
      'the registry requests objects of the bucket',
    )
  },
)
