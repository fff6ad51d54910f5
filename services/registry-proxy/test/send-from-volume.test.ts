import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { MEDIA_TYPES, repositoryAccess } from '@registry-manager/oci'
import { createVolume } from '@registry-manager/testing/registry-volume'
import t from 'tap'
import { startProxy, until } from './fixtures/proxy.ts'
import { sendRequest } from './fixtures/send-request.ts'

const volume = createVolume(t)
const { port, images, upstream, bearer } = await startProxy(t, { registryVolume: volume.folder })
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const LARGE = randomBytes(3 << 20)
const [small, large, empty] = [volume.store('a small blob'), volume.store(LARGE), volume.store('')]
const manifest = volume.store('{"schemaVersion":2}')
for (const digest of [small, large, empty]) volume.link('team/app', 'blobs', digest)
volume.link('team/app', 'manifests', manifest)

const read = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  sendRequest(port, `/v2/team/app/${path}`, { method, authorization, headers })
const describe = (digest: string) =>
  images.responses.set('POST /internal/manifest-descriptions', {
    body: { found: [{ position: 0, digest, mediaType: MEDIA_TYPES.ociManifest, indexOnly: false }] },
  })
t.beforeEach(() => void (upstream.requests.length = 0))

t.test("blobs come from the registry's files, with the headers of the registry", async (t) => {
  for (const [digest, bytes] of [
    [small, Buffer.from('a small blob')],
    [large, LARGE],
    [empty, Buffer.alloc(0)],
  ] as const) {
    const response = await read(`blobs/${digest}`)
    t.equal(response.status, 200)
    t.ok(response.body.equals(bytes))
    const expected = {
      'content-type': 'application/octet-stream',
      'content-length': String(bytes.length),
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'accept-ranges': 'bytes',
      'cache-control': 'private, max-age=31536000',
      'docker-distribution-api-version': 'registry/2.0',
      'x-content-type-options': 'nosniff',
    }
    t.match(response.headers, expected)
    const head = await read(`blobs/${digest}`, {}, 'HEAD')
    t.match(head.headers, expected)
    t.same([head.status, head.body.length], [200, 0])
  }
  t.same(upstream.requests, [])
})

t.test('manifests come with the type that the index knows, by digest and by tag', async (t) => {
  describe(manifest)
  for (const reference of [manifest, 'latest']) {
    const response = await read(`manifests/${reference}`)
    t.match(response, { status: 200, headers: { 'content-type': MEDIA_TYPES.ociManifest } })
    t.match(response.headers, { 'docker-content-digest': manifest, etag: `"${manifest}"` })
    t.equal(response.headers['cache-control'], undefined)
    t.equal(response.body.toString(), '{"schemaVersion":2}')
  }
  t.same(upstream.requests, [])
})

t.test('a single range is sent as 206', async (t) => {
  for (const [range, part, expected] of [
    ['bytes=2-6', 'small', 'bytes 2-6/12'],
    ['bytes=8-', 'blob', 'bytes 8-11/12'],
    ['bytes=8-99', 'blob', 'bytes 8-11/12'],
    ['bytes=0-0', 'a', 'bytes 0-0/12'],
    ['bytes=0-', 'a small blob', 'bytes 0-11/12'],
    ['bytes=0-99', 'a small blob', 'bytes 0-11/12'],
  ] as const) {
    const response = await read(`blobs/${small}`, { range })
    t.match(response, { status: 206, headers: { 'content-range': expected } }, range)
    t.equal(response.body.toString(), part)
  }
  const middle = await read(`blobs/${large}`, { range: 'bytes=1000000-2999999' })
  t.ok(middle.body.equals(LARGE.subarray(1_000_000, 3_000_000)))
  t.same(upstream.requests, [])
})

t.test(
  'unusual requests, and requests for content that the repository lacks, are forwarded to the registry',
  async (t) => {
    const foreign = volume.store('of another repository')
    volume.link('team/other', 'blobs', foreign)
    const lost = `sha256:${'1'.repeat(64)}`
    volume.link('team/app', 'blobs', lost)
    const cases: [string, Record<string, string>?][] = [
      [`blobs/${foreign}`],
      [`blobs/${lost}`],
      [`blobs/${manifest}`],
      [`blobs/sha256:${'2'.repeat(64)}`],
      [`blobs/${small}`, { 'if-none-match': `"${small}"` }],
      [`blobs/${small}`, { range: 'bytes=0-1,4-5' }],
      [`blobs/${small}`, { range: 'bytes=-4' }],
      [`blobs/${small}`, { range: 'bytes=12-' }],
      [`blobs/${small}`, { range: 'bytes=5-4' }],
      [`manifests/${manifest}`, { range: 'bytes=0-1' }],
    ]
    describe(manifest)
    for (const [path, headers] of cases) {
      upstream.requests.length = 0
      t.equal((await read(path, headers)).status, 200, path)
      t.equal(upstream.requests.length, 1, `${path} ${JSON.stringify(headers)}`)
    }
    const link = volume.link('team/app', 'blobs', volume.store('gone'))
    rmSync(link)
    await read(`blobs/${volume.store('gone')}`)
    t.equal(upstream.requests.length, 2, 'a deleted blob')
  },
)

t.test('no file stays open, even if the client disconnects', async (t) => {
  const openFiles = () => readdirSync('/proc/self/fd').length
  await read(`blobs/${small}`)
  const before = openFiles()
  for (let number = 0; number < 20; number += 1) {
    await read(`blobs/${large}`, { range: 'bytes=0-200000' })
    await read(`blobs/${large}`, { range: 'bytes=99999999-' })
    const controller = new AbortController()
    const response = await fetch(`http://127.0.0.1:${port}/v2/team/app/blobs/${large}`, {
      headers: { authorization },
      signal: controller.signal,
    })
    t.equal(response.status, 200)
    controller.abort()
  }
  t.ok(await until(async () => openFiles() <= before + 5).then(() => true))
})
