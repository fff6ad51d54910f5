import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import t from 'tap'
import { parseRegistryRequest } from '../../../packages/oci/src/index.ts'
import { toRequestHeaders } from '../../../services/registry-proxy/src/request-headers.ts'
import { readTemplates } from '../../local/stack/nginx.ts'
import { send } from './fixtures/client.ts'
import { echo, startIngress } from './fixtures/ingress.ts'

const BLOB = `/v2/team/app/blobs/sha256:${'a'.repeat(64)}`
const UPLOAD = '/v2/team/app/blobs/uploads/u1?_state=s&_binding=b'
const AUTHORIZED = {
  'x-decided-uri': '/v2/team/app/blobs/uploads/u1?_state=s',
  'x-decided-authorization': 'Bearer x',
  'x-decided-binding': 'bound',
}
/** The headers that are meant for registry-proxy. registry-proxy sends none of them to the registry. */
const FOR_REGISTRY_PROXY = [
  'connection',
  'origin',
  'sec-fetch-site',
  'x-content-cached',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-log-account',
  'x-request-id',
]

/** Every header there is, with a value that is also a valid range. */
const ALL_HEADERS: IncomingHttpHeaders = new Proxy({}, { get: () => 'bytes=0-9' })

/** The headers that registry-proxy sends to the registry if the client sent every header there is. */
function passedByRegistryProxy(method: string, target: string, body: 'none' | 'stream'): string[] {
  const parsed = parseRegistryRequest(method, target)
  if (!('request' in parsed)) throw new Error(`${method} ${target} is not a registry request`)
  const upstream = { path: target, query: '', body }
  return Object.keys(toRequestHeaders(parsed.request, upstream, ALL_HEADERS, 'token'))
}

/** The headers that nginx sets in the location of blobs, by the templates. */
function setByNginx(): string[] {
  const template = readTemplates()['server-blobs.conf'] ?? ''
  return [...template.matchAll(/^ *proxy_set_header (\S+) /gm)].map(([, name = '']) => name.toLowerCase())
}

t.test('nginx and registry-proxy pass the same headers of a blob request to the registry', async (t) => {
  const passed = new Set([
    ...passedByRegistryProxy('GET', BLOB, 'none'),
    ...passedByRegistryProxy('PATCH', UPLOAD, 'stream'),
  ])
  // nginx writes Content-Length itself: it has the length of the body.
  passed.delete('content-length')
  t.ok(passed.size > 5)
  t.same(setByNginx().toSorted(), [...passed, ...FOR_REGISTRY_PROXY].toSorted())
})

t.test("every parameter of an upload's Location is kept, and the binding is added", async (t) => {
  let location = ''
  const registry: RequestListener = (request, response) => {
    request.resume()
    response.writeHead(202, { location }).end()
  }
  const authorize: RequestListener = (_request, response) => void response.writeHead(200, AUTHORIZED).end()
  const services = { 'registry-proxy': [authorize], registry: [registry] }
  const ingress = await startIngress(t, { authorizes: true, services })
  for (const query of [
    '_state=s%3D',
    '_state=s&digest=x',
    'part=1&_state=s',
    'a=b&_state=s&c=d',
    'other=1',
  ]) {
    location = `/v2/team/app/blobs/uploads/u1?${query}`
    const headers = { authorization: 'Bearer x' }
    const response = await send(ingress, { method: 'PATCH', path: UPLOAD, headers, body: 'x' })
    t.equal(response.status, 202)
    t.equal(response.headers['location'], `${location}&_binding=bound`)
  }
})

t.test("registry-proxy's own Location of an upload is forwarded unchanged", async (t) => {
  const location = '/v2/team/app/blobs/uploads/u1?_state=next&_binding=of-registry-proxy'
  const proxy: RequestListener = (request, response) => {
    response.setHeader('location', location)
    echo('registry-proxy')(request, response)
  }
  const ingress = await startIngress(t, { services: { 'registry-proxy': [proxy] } })
  const request = { method: 'PATCH', path: UPLOAD, headers: { authorization: 'Bearer x' }, body: 'x' }
  const { headers, json } = await send(ingress, request)
  t.match(json, { service: 'registry-proxy', url: UPLOAD })
  t.equal(headers['location'], location)
})
