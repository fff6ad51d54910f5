import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { send, sendHttp2, sendRaw } from './fixtures/client.ts'
import { echo, startIngress } from './fixtures/ingress.ts'
import type { Location } from './fixtures/locating-proxy.ts'
import { locateAsRequested, locatingProxy } from './fixtures/locating-proxy.ts'
import { createVolume } from '@registry-manager/testing/registry-volume'

const TOKEN = { authorization: 'Bearer c2VjcmV0' }

const volume = createVolume(t)
const blob = volume.store('the bytes of a layer')
const manifest = volume.store('{"schemaVersion":2}')
volume.link('team/app', 'blobs', blob)
volume.link('team/app', 'manifests', manifest)
const BLOB = `/v2/team/app/blobs/${blob}`
const MANIFEST = `/v2/team/app/manifests/${manifest}`

const received: string[] = []
let locate: (request: Parameters<typeof locateAsRequested>[0]) => Location = locateAsRequested
/** Refuses one range, as registry-proxy does, and echoes every other request. */
const answer: RequestListener = (request, response) => {
  if (request.headers.range !== 'bytes=20-30') return echo('registry-proxy')(request, response)
  response.writeHead(416).end('no such range')
}
const ingress = await startIngress(t, {
  authorizes: true,
  services: { 'registry-proxy': [locatingProxy((request) => locate(request), received, answer)] },
  variables: { CONTENT_FROM: 'volume', REGISTRY_VOLUME: volume.folder },
})
t.beforeEach(() => {
  received.length = 0
  locate = locateAsRequested
})

t.test(
  "nginx sends a blob and a manifest from the registry's files, with the headers of the registry",
  async (t) => {
    for (const sendRequest of [send, sendHttp2]) {
      const layer = await sendRequest(ingress, { path: BLOB, headers: TOKEN })
      t.match(layer, { status: 200, text: 'the bytes of a layer' })
      t.match(layer.headers, {
        'content-type': 'application/octet-stream',
        'content-length': '20',
        'docker-content-digest': blob,
        etag: `"${blob}"`,
        'accept-ranges': 'bytes',
        'cache-control': 'private, max-age=31536000',
        'docker-distribution-api-version': 'registry/2.0',
        'x-content-type-options': 'nosniff',
      })
      t.equal(layer.headers['last-modified'], undefined)
      const image = await sendRequest(ingress, { path: MANIFEST, headers: TOKEN })
      t.match(image, { status: 200, text: '{"schemaVersion":2}' })
      t.match(image.headers, { 'content-type': 'application/x-test', 'docker-content-digest': manifest })
      t.equal(image.headers['cache-control'], undefined)
      for (const name of Object.keys({ ...layer.headers, ...image.headers })) {
        t.notMatch(name, /x-decided|x-accel|x-account/)
      }
      const head = await sendRequest(ingress, { method: 'HEAD', path: BLOB, headers: TOKEN })
      t.match(head, {
        status: 200,
        text: '',
        headers: { 'content-length': '20', 'docker-content-digest': blob },
      })
    }
    t.ok(
      received.every((line) => line.startsWith('locate')),
      'nothing passed registry-proxy',
    )
    t.notMatch(ingress.logged(), /c2VjcmV0/)
  },
)

t.test('nginx sends a single range of a blob', async (t) => {
  for (const [range, text, bytes] of [
    ['bytes=4-8', 'bytes', 'bytes 4-8/20'],
    ['bytes=15-', 'layer', 'bytes 15-19/20'],
    ['bytes=-5', 'layer', 'bytes 15-19/20'],
    ['bytes=15-999', 'layer', 'bytes 15-19/20'],
  ] as const) {
    const response = await send(ingress, { path: BLOB, headers: { ...TOKEN, range } })
    t.match(response, { status: 206, text, headers: { 'content-range': bytes } }, range)
  }
  t.ok(received.every((line) => line.startsWith('locate')))
  const path = BLOB
  received.length = 0
  const refused = await send(ingress, { path, headers: { ...TOKEN, range: 'bytes=20-30' } })
  t.match(refused, { status: 416, text: 'no such range' })
  t.same(received, [`locate GET ${path}`, `forward GET ${path}`])
})

t.test('registry-proxy answers conditions, other ranges, and requests with a body', async (t) => {
  for (const [method, path, headers] of [
    ['GET', BLOB, { range: 'bytes=0-1,4-5' }],
    ['GET', BLOB, { range: 'bytes=-0' }],
    ['GET', BLOB, { range: 'lines=1-2' }],
    ['GET', MANIFEST, { range: 'bytes=0-1' }],
    ['GET', BLOB, { 'if-none-match': `"${blob}"` }],
    ['GET', BLOB, { 'if-match': '"x"' }],
    ['GET', BLOB, { 'if-modified-since': 'Thu, 01 Jan 2026 00:00:00 GMT' }],
    ['GET', BLOB, { 'if-range': '"x"', range: 'bytes=0-1' }],
    ['GET', BLOB, { 'content-length': '0' }],
    ['DELETE', BLOB, {}],
    ['DELETE', MANIFEST, {}],
    ['PUT', MANIFEST, {}],
    ['GET', '/v2/team/app/tags/list', {}],
  ] as const) {
    received.length = 0
    const response = await send(ingress, { method, path, headers: { ...TOKEN, ...headers } })
    t.match(response.json, { service: 'registry-proxy', method, url: path, headers })
    t.equal(received.at(-1), `forward ${method} ${path}`)
  }
  received.length = 0
  const head = await send(ingress, { method: 'HEAD', path: BLOB, headers: { ...TOKEN, range: 'bytes=0-1' } })
  t.same([head.status, received], [200, [`forward HEAD ${BLOB}`]])
})

t.test(
  'registry-proxy answers requests for content that it does not locate or that nginx does not find',
  async (t) => {
    const unlinked = volume.store('bytes that no repository has')
    const elsewhere = volume.store('bytes of another repository')
    volume.link('team/other', 'blobs', elsewhere)
    const lost = `sha256:${'1'.repeat(64)}`
    volume.link('team/app', 'blobs', lost)
    volume.link('team/app', 'manifests', lost)
    for (const path of [
      `/v2/team/app/blobs/${unlinked}`,
      `/v2/team/app/blobs/${elsewhere}`,
      `/v2/team/app/blobs/${manifest}`,
      `/v2/team/app/manifests/${blob}`,
      `/v2/team/app/blobs/${lost}`,
      `/v2/team/app/manifests/${lost}`,
      `/v2/nobody/blobs/${blob}`,
    ]) {
      received.length = 0
      const response = await send(ingress, { path, headers: TOKEN })
      t.match(response.json, { service: 'registry-proxy', url: path, headers: TOKEN })
      t.same(received, [`locate GET ${path}`, `forward GET ${path}`])
    }
    for (const status of [204, 401, 403, 404, 429, 500, 503]) {
      locate = () => ({ status, headers: { 'x-decided-content': '' } })
      const response = await send(ingress, { path: BLOB, headers: TOKEN })
      t.match(response.json, { service: 'registry-proxy', url: BLOB }, `${status}`)
    }
  },
)

t.test('nginx no longer sends deleted content after the response to its deletion', async (t) => {
  const digest = volume.store('deleted in a moment')
  const link = volume.link('team/app', 'blobs', digest)
  const path = `/v2/team/app/blobs/${digest}`
  const located = { ...locateAsRequested({ url: path } as never).headers, 'x-accel-expires': '1' }
  locate = () => ({ headers: located })
  for (let number = 0; number < 4; number += 1) {
    t.match(await send(ingress, { path, headers: TOKEN }), { status: 200, text: 'deleted in a moment' })
  }
  rmSync(link)
  t.match((await send(ingress, { path, headers: TOKEN })).json, { service: 'registry-proxy' })
})

t.test('nginx never sends a file outside of the folders of the layout', async (t) => {
  writeFileSync(join(volume.folder, 'secret'), 'a secret')
  symlinkSync(join(volume.folder, 'secret'), join(volume.folder, 'link'))
  const hex = blob.slice('sha256:'.length)
  for (const path of [
    `/.content/blobs/../../../secret/${blob}`,
    `/.content/blobs/team/app/../../../../../${blob}`,
    `/.content/blobs/team/app/%2e%2e/${blob}`,
    `/.content/blobs//${blob}`,
    '/.content/blobs/team/app/sha256:../../../../secret',
    `/.content/blobs/team/app/sha256:${hex}/../../link`,
    `/.content/blobs/team/app/sha256:${hex}%00`,
    `/.content/blobs/team/app/sha256:${hex.toUpperCase()}`,
    `/.content/layers/team/app/${blob}`,
    '/.content/',
    '/etc/passwd',
    '../../../../etc/passwd',
    'file:///etc/passwd',
  ]) {
    locate = () => ({ headers: { 'x-decided-content': path } })
    const response = await send(ingress, { path: BLOB, headers: TOKEN })
    t.notMatch(response.text, /the bytes of a layer|a secret|root:/, path)
    t.ok(response.status >= 400 || response.text.includes('registry-proxy'), `${path}: ${response.status}`)
  }
})

t.test('a client cannot say where content is, or request the internal locations', async (t) => {
  locate = () => ({ status: 204 })
  const headers = {
    ...TOKEN,
    'x-content-from': 'registry',
    'x-decided-content': `/.content/blobs/team/app/${blob}`,
    'x-accel-redirect': `/.content/blobs/team/app/${blob}`,
    'x-content-cached': '9',
  }
  const response = await send(ingress, { path: `/v2/team/app/blobs/sha256:${'2'.repeat(64)}`, headers })
  const { headers: arrived } = response.json as { headers: Record<string, string> }
  for (const name of ['x-content-from', 'x-content-cached']) t.equal(arrived[name], undefined)
  locate = locateAsRequested
  for (const path of [`/.content/blobs/team/app/${blob}`, '/.read', '/.locate']) {
    received.length = 0
    const direct = await send(ingress, { path, headers: TOKEN })
    t.notMatch(direct.text, /the bytes/, path)
    t.notOk(received.includes(`locate GET ${path}`), path)
  }
  const raw = await sendRaw(
    ingress,
    `GET /v2/team/app/blobs/../../../.content/blobs/team/app/${blob} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  )
  t.notMatch(raw, /the bytes/)
})
