import t from 'tap'
import { toRequestHeaders } from '../../src/domain/request-headers.ts'
import { toUpstreamRequest } from '../../src/domain/upstream-request.ts'
import { requests } from '../fixtures/requests.ts'

type Request = Parameters<typeof toUpstreamRequest>[0]
const toHeaders = (request: Request, headers: Record<string, string>) =>
  toRequestHeaders(request, toUpstreamRequest(request), { host: 'registry:5000', ...headers }, 'our.token')

const SENT_BY_US = { host: 'registry:5000', authorization: 'Bearer our.token' }
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

/** Everything that a client may send along with a read. */
const READING = {
  accept: 'application/octet-stream',
  'if-match': '"a"',
  'if-modified-since': 'Sat, 21 Nov 2026 00:00:00 GMT',
  'if-none-match': '"b"',
  'if-range': '"c"',
  range: 'bytes=0-1',
  'user-agent': 'docker/29',
}
const WRITING = { 'content-length': '3', 'content-range': '0-2', 'content-type': 'text/plain' }

/** Headers that could speak for the proxy, or change what a request is. */
const NEVER = {
  authorization: 'Basic YWxpY2U6cHc=',
  connection: 'close, authorization',
  'content-encoding': 'gzip',
  cookie: 'a=b',
  expect: '100-continue',
  forwarded: 'for=192.0.2.1;host=evil.test',
  'proxy-authorization': 'Basic eDp5',
  te: 'trailers',
  trailer: 'Authorization',
  'transfer-encoding': 'chunked',
  upgrade: 'h2c',
  via: '1.1 evil',
  'x-forwarded-for': '192.0.2.1',
  'x-forwarded-host': 'evil.test',
  'x-http-method-override': 'DELETE',
  'x-original-url': '/v2/other/app/tags/list',
}

t.test('a read takes along what is about reading, and nothing else', async (t) => {
  t.same(toHeaders(requests.blob(), { ...NEVER, ...READING, ...WRITING }), { ...READING, ...SENT_BY_US })
})

t.test('an upload takes the length and range of its body along, and hides its type', async (t) => {
  const { 'content-length': length, 'content-range': range } = WRITING
  t.same(toHeaders(requests.upload('PATCH'), { ...NEVER, ...WRITING }), {
    'content-length': length,
    'content-range': range,
    'content-type': 'application/octet-stream',
    ...SENT_BY_US,
  })
})

t.test('the start of an upload says nothing of a body, for none is sent', async (t) => {
  t.same(toHeaders(requests.uploadStart(), { ...NEVER, ...WRITING }), SENT_BY_US)
})

t.test('a manifest keeps its type', async (t) => {
  const headers = toHeaders(requests.manifest('PUT'), { 'content-type': OCI_MANIFEST, 'content-length': '2' })
  t.equal(headers['content-type'], OCI_MANIFEST)
  t.equal(headers['content-length'], '2')
})

for (const accept of [undefined, '', '*/*', 'application/json', 'text/html,application/xhtml+xml;q=0.9']) {
  t.test(`Accept ${accept} names no type of manifest, so all are sent`, async (t) => {
    const asked = toHeaders(requests.manifest(), accept === undefined ? {} : { accept })
    t.same(asked['accept']?.split(', ').toSorted(), [
      'application/vnd.docker.distribution.manifest.list.v2+json',
      'application/vnd.docker.distribution.manifest.v2+json',
      'application/vnd.oci.artifact.manifest.v1+json',
      'application/vnd.oci.image.index.v1+json',
      OCI_MANIFEST,
    ])
  })
}

for (const accept of [OCI_MANIFEST, `${OCI_MANIFEST}, */*`, `text/html, ${OCI_MANIFEST};q=0.5`]) {
  t.test(`Accept ${accept} names one, and is sent as it is`, async (t) => {
    t.equal(toHeaders(requests.manifest('HEAD'), { accept })['accept'], accept)
  })
}
