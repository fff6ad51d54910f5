import { MEDIA_TYPES, repositoryAccess } from '@registry-manager/oci'
import { createVolume } from '@registry-manager/testing/registry-volume'
import t from 'tap'
import { CANONICAL } from './fixtures/fake-image-manager.ts'
import { startProxy, until } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST, SHA512 } from './fixtures/requests.ts'
import { sendRequest } from './fixtures/send-request.ts'

const volume = createVolume(t)
const manifest = volume.store('{"schemaVersion":2}')
volume.link('team/app', 'manifests', manifest)
const access = [repositoryAccess('team/app', 'pull')]

const describe = ({ images }: Awaited<ReturnType<typeof startProxy>>, digest: string) =>
  images.responses.set('POST /internal/manifest-descriptions', {
    body: { found: [{ position: 0, digest, mediaType: MEDIA_TYPES.ociManifest, indexOnly: false }] },
  })

t.test(
  'every response with a manifest counts as a pull, whether nginx, the registry or the index sends it',
  async (t) => {
    const proxy = await startProxy(t)
    const fromVolume = await startProxy(t, { registryVolume: volume.folder })
    const { images, upstream } = proxy
    describe(proxy, DIGEST)
    describe(fromVolume, manifest)
    const read = async (reference: string, { via = proxy, method = 'GET', headers = {}, as = '' } = {}) => {
      const path = `/v2/team/app/manifests/${reference}`
      return (await sendRequest(via.port, path, { method, authorization: as || via.bearer(access), headers }))
        .status
    }
    const located = { headers: { 'x-decide-only': '1', 'x-content-from': 'volume' } }

    t.equal(await read('by-nginx', located), 200, 'nginx sends it')
    t.equal(await read(DIGEST, located), 200)
    t.equal(await read('polled', { ...located, method: 'HEAD' }), 200)
    upstream.respond = respondWith(200, { 'docker-content-digest': DIGEST })
    t.equal(await read('forwarded'), 200, 'the registry sends it')
    t.equal(await read('polled', { method: 'HEAD' }), 200)
    upstream.respond = respondWith(304, { 'docker-content-digest': DIGEST })
    t.equal(await read('unchanged'), 304)
    upstream.respond = respondWith(404, {})
    t.equal(await read('missing'), 404)
    t.equal(await read('forbidden', { as: proxy.bearer([]) }), 401)
    images.responses.set('GET /internal/manifests', {
      body: { digest: CANONICAL, mediaType: MEDIA_TYPES.ociIndex, kept: true, raw: '' },
    })
    t.equal(await read(SHA512), 200, 'the index has it')
    t.equal(await read('from-volume', { via: fromVolume }), 200)
    t.equal(await read(`x`, { via: fromVolume, method: 'HEAD' }), 200)

    await until(async () => images.pulls.length > 0 && fromVolume.images.pulls.length > 0)
    const seen = images.pulls.map(({ digest, tag = null, count }) => [tag, digest, count])
    t.strictSame(seen, [
      ['by-nginx', DIGEST, 1],
      [null, DIGEST, 1],
      ['forwarded', DIGEST, 1],
      [null, SHA512, 1],
    ])
    t.ok(images.pulls.every(({ repository }) => repository === 'team/app'))
    t.match(fromVolume.images.pulls, [{ tag: 'from-volume', digest: manifest, count: 1 }])
    t.equal(fromVolume.images.pulls.length, 1)
  },
)

t.test('a pull never fails because image-manager is unavailable', async (t) => {
  const { port, upstream, images, bearer } = await startProxy(t)
  upstream.respond = respondWith(200, { 'docker-content-digest': DIGEST })
  images.behaviour = 'down'
  const path = '/v2/team/app/manifests/v1'
  const read = () => sendRequest(port, path, { method: 'GET', authorization: bearer(access) })
  t.equal((await read()).status, 200)
  images.behaviour = 'up'
  await until(async () => images.pulls.length > 0)
  t.match(images.pulls, [{ tag: 'v1', count: 1 }])
})
