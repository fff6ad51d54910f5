import type { RequestListener } from 'node:http'
import t from 'tap'
import { MANIFEST_MEDIA_TYPES } from '../../../packages/oci/src/index.ts'
import { readTemplates } from '../../local/stack/nginx.ts'
import { send, sendHttp2 } from './fixtures/client.ts'
import { echo, startIngress } from './fixtures/ingress.ts'
import { locateAsRequested, locatingProxy } from './fixtures/locating-proxy.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const BLOB = `/v2/team/app/blobs/${DIGEST}`
const TOKEN = { authorization: 'Bearer c2VjcmV0' }

const started = (
  registry: RequestListener | undefined,
  variables: Record<string, string> = {},
  received: string[] = [],
  locate = locateAsRequested,
) =>
  startIngress(t, {
    authorizes: true,
    services: { 'registry-proxy': [locatingProxy(locate, received)], registry: [registry] },
    variables,
  })

t.test('nginx requests content from the registry with the token of the client', async (t) => {
  const received: string[] = []
  const ingress = await started(echo('registry'), {}, received)
  const hostile = {
    cookie: 'a=b',
    'x-forwarded-for': '10.9.8.7',
    'x-decide-only': '1',
    'x-decided-content': '/v2/stolen/blobs/x',
    'x-http-method-override': 'DELETE',
  }
  const headers = { ...TOKEN, accept: 'text/plain', range: 'bytes=0-9', 'user-agent': 'docker' }
  for (const sendRequest of [send, sendHttp2]) {
    const response = await sendRequest(ingress, { path: `${BLOB}?x=y`, headers: { ...headers, ...hostile } })
    t.match(response.json, { service: 'registry', method: 'GET', url: BLOB })
    const { headers: arrived } = response.json as { headers: Record<string, string> }
    t.match(arrived, { ...headers, accept: MANIFEST_MEDIA_TYPES.join(', ') })
    for (const name of Object.keys(hostile)) t.equal(arrived[name], undefined, name)
    const head = await sendRequest(ingress, { method: 'HEAD', path: BLOB, headers: TOKEN })
    t.equal(head.status, 200)
  }
  t.ok(received.every((line) => line.startsWith('locate')))
  t.notMatch(ingress.logged(), /c2VjcmV0/)
})

t.test(
  'registry-proxy answers requests with a password or without credentials, and gets each of them once',
  async (t) => {
    const received: string[] = []
    const ingress = await started(echo('registry'), {}, received)
    for (const headers of [{ authorization: 'Basic eDp5' }, {}]) {
      received.length = 0
      t.match((await send(ingress, { path: BLOB, headers })).json, { service: 'registry-proxy', headers })
      t.same(received, [`forward GET ${BLOB}`])
    }
  },
)

t.test('registry-proxy answers requests that the registry refuses or fails to answer', async (t) => {
  for (const status of [401, 403, 404, 416, 429, 500, 503]) {
    const received: string[] = []
    const ingress = await started((_request, response) => void response.writeHead(status).end(), {}, received)
    const { json } = await send(ingress, { path: BLOB, headers: TOKEN })
    t.match(json, { service: 'registry-proxy', url: BLOB, headers: TOKEN }, `${status}`)
    t.same(received, [`locate GET ${BLOB}`, `forward GET ${BLOB}`])
  }
  const unavailable = await started(undefined)
  t.match((await send(unavailable, { path: BLOB, headers: TOKEN })).json, { service: 'registry-proxy' })
})

t.test('headers of the registry cannot redirect nginx', async (t) => {
  const ingress = await started((_request, response) => {
    response.writeHead(200, { 'x-accel-redirect': '/.content/blobs/x', 'x-account': 'x' }).end('content')
  })
  const response = await send(ingress, { path: BLOB, headers: TOKEN })
  t.match(response, { status: 200, text: 'content' })
  t.equal(response.headers['x-account'], undefined)
})

t.test('nginx does not ask where content is with BLOBS_TRANSFERRED_BY=registry-proxy', async (t) => {
  const received: string[] = []
  const ingress = await started(echo('registry'), { BLOBS_TRANSFERRED_BY: 'registry-proxy' }, received)
  t.match((await send(ingress, { path: BLOB, headers: TOKEN })).json, {
    service: 'registry-proxy',
    url: BLOB,
  })
  t.same(received, [`forward GET ${BLOB}`])
})

t.test('the templates request every type of manifest', async (t) => {
  t.match(readTemplates()['content-from-registry.conf'], `"${MANIFEST_MEDIA_TYPES.join(', ')}"`)
})
