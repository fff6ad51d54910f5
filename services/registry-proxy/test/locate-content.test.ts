import { MEDIA_TYPES, repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { basic, startProxy } from './fixtures/proxy.ts'
import { DIGEST, SHA512 } from './fixtures/requests.ts'
import { sendRequest } from './fixtures/send-request.ts'

const { port, auth, images, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull')]
const authorization = bearer(access)
auth.accounts.set('alice', { password: 'right', uid: 'uid-alice', gen: 1, access })
const BLOB = `/v2/team/app/blobs/${DIGEST}`
const MANIFEST = `/v2/team/app/manifests/${DIGEST}`
const TAG = '/v2/team/app/manifests/latest'
const DESCRIBE = 'POST /internal/manifest-descriptions'

const locate = (
  path: string,
  options: { source?: string; as?: string; method?: string; accept?: string } = {},
) => {
  const { source = 'volume', as = authorization, method = 'GET', accept = '*/*' } = options
  const headers = { 'x-decide-only': '1', 'x-content-from': source, accept }
  return sendRequest(port, path, { method, authorization: as, headers })
}
const decided = ({ headers }: { headers: object }) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => /^x-(?:decided|accel)-/.test(name)))
const described = (digest: string, mediaType: string = MEDIA_TYPES.ociManifest, indexOnly = false) =>
  images.responses.set(DESCRIBE, { body: { found: [{ position: 0, digest, mediaType, indexOnly }] } })

t.beforeEach(() => {
  images.responses.clear()
  images.requests.length = 0
  images.behaviour = 'up'
})

t.test('a blob has one path, whatever the source', async (t) => {
  const expected = { 'x-decided-content': `/.content/blobs/team/app/${DIGEST}`, 'x-accel-expires': '1' }
  for (const source of ['volume', 'cache', 'registry']) {
    for (const method of ['GET', 'HEAD']) {
      const response = await locate(`${BLOB}?ns=docker.io`, { source, method })
      t.equal(response.status, 200)
      t.same(decided(response), expected, `${method} ${source}`)
    }
  }
  t.same(decided(await locate(BLOB.replace('sha256:', 'sha256%3A'))), expected)
  t.same(images.requests, [])
})

t.test('with BLOB_REDIRECTS a blob is read through this service, except from the volume', async (t) => {
  const redirecting = await startProxy(t, { storageOrigins: ['https://storage.test'] })
  const locateFrom = async (path: string, source: string) => {
    const headers = { 'x-decide-only': '1', 'x-content-from': source }
    const as = redirecting.bearer(access)
    const response = await sendRequest(redirecting.port, path, { authorization: as, headers })
    return [response.status, decided(response)['x-decided-content']]
  }
  for (const source of ['cache', 'registry']) {
    t.same(await locateFrom(BLOB, source), [204, undefined], source)
    t.same(await locateFrom(MANIFEST, source), [200, `/.content/manifests/team/app/${DIGEST}`], source)
  }
  t.same(await locateFrom(BLOB, 'volume'), [200, `/.content/blobs/team/app/${DIGEST}`])
})

t.test('the media type of a manifest on the volume is looked up once', async (t) => {
  described(DIGEST)
  const expected = {
    'x-decided-content': `/.content/manifests/team/app/${DIGEST}`,
    'x-decided-type': MEDIA_TYPES.ociManifest,
    'x-accel-expires': '1',
  }
  for (let number = 0; number < 3; number += 1) t.same(decided(await locate(MANIFEST)), expected)
  t.same(images.requests, [DESCRIBE])
  const { 'x-decided-type': _, ...withoutType } = expected
  t.same(decided(await locate(MANIFEST, { source: 'cache' })), withoutType)
})

t.test('a tag is looked up for each request, and the decision may not be repeated', async (t) => {
  for (const letter of ['1', '2', '3']) {
    const digest = `sha256:${letter.repeat(64)}`
    described(digest)
    for (const source of ['volume', 'cache', 'registry']) {
      const response = await locate(TAG, { source })
      t.match(decided(response), { 'x-decided-content': `/.content/manifests/team/app/${digest}` })
      t.equal(response.headers['x-accel-expires'], undefined)
    }
  }
  t.same(
    images.requests,
    Array.from({ length: 9 }, () => DESCRIBE),
  )
})

t.test('a password is exchanged for a token, which only a registry needs', async (t) => {
  const as = basic('alice', 'right')
  t.same(decided(await locate(BLOB, { as })), { 'x-decided-content': `/.content/blobs/team/app/${DIGEST}` })
  for (const source of ['cache', 'registry']) {
    const response = await locate(BLOB, { as, source })
    t.match(response.headers['x-decided-authorization'], /^Bearer ey/)
    t.equal(response.headers['x-accel-expires'], undefined)
  }
})

t.test('registry-proxy names no path for content that it must send itself', async (t) => {
  const unknown = (path: string, options?: Parameters<typeof locate>[1]) => ({ path, options })
  for (const { path, options } of [
    unknown(BLOB.replace(DIGEST, SHA512)),
    unknown(MANIFEST.replace(DIGEST, SHA512)),
    unknown(TAG),
    unknown('/v2/team/app/tags/list'),
    unknown('/v2/_catalog', { as: bearer([{ type: 'registry', name: 'catalog', actions: ['*'] }]) }),
    unknown('/v2/'),
  ]) {
    images.responses.set(DESCRIBE, { body: { found: [] } })
    const response = await locate(path, options)
    t.same([response.status, decided(response)], [204, {}], path)
  }
  described(DIGEST, MEDIA_TYPES.ociIndex, true)
  t.equal((await locate(TAG)).status, 204, 'only the index has it')
  images.responses.set(DESCRIBE, { status: 503, body: {} })
  t.equal((await locate(TAG)).status, 204, 'image-manager is unavailable')
  images.responses.set(DESCRIBE, { status: 404, body: {} })
  t.equal((await locate(TAG)).status, 204, 'an image-manager of the previous version')
})

t.test('the registry converts a Docker list for a client that accepts only Docker images', async (t) => {
  described(DIGEST, MEDIA_TYPES.dockerList)
  t.equal((await locate(TAG, { accept: MEDIA_TYPES.dockerManifest })).status, 204)
  t.equal(
    (await locate(TAG, { accept: `${MEDIA_TYPES.dockerManifest}, ${MEDIA_TYPES.dockerList}` })).status,
    200,
  )
})

t.test('a token that the registry would not accept is enough for the volume', async (t) => {
  // The access to push permits pulls here, but not at the registry.
  const as = bearer([repositoryAccess('team/app', 'push')])
  t.equal((await locate(BLOB, { as })).status, 200)
  for (const source of ['cache', 'registry']) t.equal((await locate(BLOB, { as, source })).status, 204)
})

t.test('a client that may not read the content is refused', async (t) => {
  for (const [path, as, status] of [
    [BLOB, '', 401],
    [BLOB, 'Bearer forged', 401],
    [BLOB, basic('alice', 'wrong'), 401],
    [BLOB, bearer([repositoryAccess('team/other', 'pull')]), 401],
    [BLOB, bearer(null), 401],
    [`/v2/team/app/blobs/../../../etc/${DIGEST}`, authorization, 404],
    ['/v2/team/app/blobs/sha256:1', authorization, 400],
  ] as const) {
    const response = await locate(path, { as })
    t.same([response.status, decided(response)], [status, {}], `${path} ${as.slice(0, 20)}`)
  }
})

t.test('nginx gets the location of content without a request to the registry', async (t) => {
  t.same(upstream.requests, [])
})

t.test('nginx never repeats a decision that depends on the address of the client', async (t) => {
  const limited = (networks: string[]) => bearer([{ ...repositoryAccess('team/app', 'pull'), networks }])
  const here = await locate(BLOB, { as: limited(['127.0.0.0/8', '::1']) })
  t.equal(here.status, 200)
  t.notOk('x-accel-expires' in here.headers)
  const elsewhere = await locate(BLOB, { as: limited(['192.0.2.0/24']) })
  t.equal(elsewhere.status, 403)
  t.match(elsewhere.body.toString(), /limited to clients in 192\.0\.2\.0\/24/)
})
