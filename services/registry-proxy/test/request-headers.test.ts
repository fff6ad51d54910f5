import t from 'tap'
import { toRequestHeaders } from '../src/request-headers.ts'
import { toUpstreamRequest } from '../src/upstream-request.ts'
import { requests } from './fixtures/requests.ts'

type Request = Parameters<typeof toUpstreamRequest>[0]
const toHeaders = (request: Request, headers: Record<string, string>) =>
  toRequestHeaders(request, toUpstreamRequest(request), { host: 'registry:5000', ...headers }, 'our.token')

const FROM_PROXY = { host: 'registry:5000', authorization: 'Bearer our.token' }
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

/** The headers of a read that are forwarded. */
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

/** Headers that could identify a trusted proxy or change the meaning of a request. */
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

t.test('a read is forwarded with the headers for reading and no others', async (t) => {
  t.same(toHeaders(requests.blob(), { ...NEVER, ...READING, ...WRITING }), { ...READING, ...FROM_PROXY })
})

t.test('an upload is forwarded with the length and range of its body, and without its type', async (t) => {
  const { 'content-length': length, 'content-range': range } = WRITING
  t.same(toHeaders(requests.upload('PATCH'), { ...NEVER, ...WRITING }), {
    'content-length': length,
    'content-range': range,
    'content-type': 'application/octet-stream',
    ...FROM_PROXY,
  })
})

t.test('the start of an upload is forwarded without headers of a body', async (t) => {
  t.same(toHeaders(requests.uploadStart(), { ...NEVER, ...WRITING }), FROM_PROXY)
})

t.test('a manifest keeps its type', async (t) => {
  const headers = toHeaders(requests.manifest('PUT'), { 'content-type': OCI_MANIFEST, 'content-length': '2' })
  t.equal(headers['content-type'], OCI_MANIFEST)
  t.equal(headers['content-length'], '2')
})

t.test('Accept of a manifest is rewritten for GET and HEAD', async (t) => {
  for (const method of ['GET', 'HEAD'] as const) {
    const { accept } = toHeaders(requests.manifest(method), { accept: 'application/json' })
    t.match(accept, OCI_MANIFEST)
  }
})

t.test('Range and If-Range are forwarded only with GET of a blob', async (t) => {
  const { range, 'if-range': ifRange } = READING
  const sent = { range, 'if-range': ifRange }
  t.match(toHeaders(requests.blob('GET'), sent), sent)
  for (const request of [requests.blob('HEAD'), requests.manifest('GET'), requests.upload('PATCH')]) {
    const headers = toHeaders(request, sent)
    t.notOk('range' in headers || 'if-range' in headers, `${request.method} of a ${request.kind}`)
  }
  t.notOk(
    'if-range' in toHeaders(requests.blob(), { ...sent, range: 'items=0-1' }),
    'If-Range without a Range',
  )
})
