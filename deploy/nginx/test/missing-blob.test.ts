import type { RequestListener } from 'node:http'
import t from 'tap'
import { createVolume } from '@registry-manager/testing/registry-volume'
import { send, sendHttp2 } from './fixtures/client.ts'
import { echo, startIngress } from './fixtures/ingress.ts'
import { locateAsRequested, locatingProxy } from './fixtures/locating-proxy.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const BLOB = `/v2/team/app/blobs/${DIGEST}`
const HEAD = { method: 'HEAD', path: BLOB, headers: { authorization: 'Bearer c2VjcmV0' } }

const volume = createVolume(t)
const received: string[] = []
let registry: RequestListener
const start = (variables: Record<string, string> = {}) =>
  startIngress(t, {
    authorizes: true,
    services: {
      'registry-proxy': [locatingProxy(locateAsRequested, received)],
      registry: [
        (request, response) => {
          received.push(`registry ${request.method} ${request.url}`)
          registry(request, response)
        },
      ],
    },
    variables: { CONTENT_FROM: 'volume', REGISTRY_VOLUME: volume.folder, ...variables },
  })
const ingress = await start()
t.beforeEach(() => {
  received.length = 0
  registry = (_request, response) => {
    const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': '157' }
    response.writeHead(404, headers).end()
  }
})

t.test('the registry answers HEAD for a blob that nginx does not find', async (t) => {
  for (const sendRequest of [send, sendHttp2]) {
    received.length = 0
    const response = await sendRequest(ingress, { ...HEAD, path: `${BLOB}?ns=docker.io` })
    t.match(response, { status: 404, text: '', headers: { 'content-length': '157' } })
    t.match(response.headers['content-type'], 'application/json')
    t.same(received, [`locate HEAD ${BLOB}?ns=docker.io`, `registry HEAD ${BLOB}`])
  }
  t.notMatch(ingress.logged(), /c2VjcmV0/)
})

t.test(
  'a HEAD that the registry receives after nginx may find the blob, and has no hostile header',
  async (t) => {
    const arrived: unknown[] = []
    registry = (request, response) => {
      arrived.push(request.headers)
      const headers = { 'content-length': '9', 'docker-content-digest': DIGEST, 'cache-control': 'max-age=9' }
      response.writeHead(200, { ...headers, 'x-account': 'x', 'x-accel-redirect': '/.read' }).end()
    }
    const hostile = { cookie: 'a=b', 'x-decide-only': '1', 'x-content-from': 'registry' }
    const response = await send(ingress, { ...HEAD, headers: { ...HEAD.headers, ...hostile } })
    t.match(response, { status: 200, headers: { 'content-length': '9', 'docker-content-digest': DIGEST } })
    t.equal(response.headers['cache-control'], 'private, max-age=9')
    t.equal(response.headers['x-account'], undefined)
    t.match(arrived, [HEAD.headers])
    for (const name of Object.keys(hostile)) t.notHas(arrived[0], name)
  },
)

t.test('registry-proxy answers HEAD if the registry refuses the token or fails', async (t) => {
  for (const status of [400, 401, 403, 429, 500, 503]) {
    received.length = 0
    registry = (_request, response) => void response.writeHead(status).end()
    t.match(await send(ingress, HEAD), { status: 200 }, `${status}`)
    t.same(received, [`locate HEAD ${BLOB}`, `registry HEAD ${BLOB}`, `forward HEAD ${BLOB}`])
  }
})

t.test('registry-proxy answers GET for a blob that nginx does not find', async (t) => {
  registry = echo('registry')
  t.match((await send(ingress, { ...HEAD, method: 'GET' })).json, { service: 'registry-proxy' })
  t.same(received, [`locate GET ${BLOB}`, `forward GET ${BLOB}`])
})

t.test('registry-proxy answers HEAD if nginx has no access to the registry', async (t) => {
  const alone = await start({ BLOBS_TRANSFERRED_BY: 'registry-proxy' })
  t.match(await send(alone, HEAD), { status: 200 })
  t.same(received, [`locate HEAD ${BLOB}`, `forward HEAD ${BLOB}`])
})

t.test('nginx answers HEAD for a blob that the registry does not have', async (t) => {
  for (const CONTENT_FROM of ['registry', 'cache']) {
    const other = await start({ CONTENT_FROM })
    for (const sendRequest of [send, sendHttp2]) {
      received.length = 0
      const response = await sendRequest(other, HEAD)
      t.match(response, { status: 404, text: '' }, CONTENT_FROM)
      t.match(response.headers, {
        'content-type': 'application/json; charset=utf-8',
        'docker-distribution-api-version': 'registry/2.0',
        'x-content-type-options': 'nosniff',
      })
      t.same(received, [`locate HEAD ${BLOB}`, `registry HEAD ${BLOB}`])
    }
    const manifest = BLOB.replace('blobs', 'manifests')
    received.length = 0
    t.match(await send(other, { ...HEAD, path: manifest }), { status: 200 })
    t.equal(
      received.at(-1),
      `forward HEAD ${manifest}`,
      'the index may have a manifest that the registry lacks',
    )
    received.length = 0
    t.match((await send(other, { ...HEAD, method: 'GET' })).json, { service: 'registry-proxy' })
  }
})
