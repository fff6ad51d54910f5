import t from 'tap'
import type { ForwardedRequest } from '../src/upstream-request.ts'
import { toUpstreamRequest } from '../src/upstream-request.ts'
import { DIGEST, requests } from './fixtures/requests.ts'

type Fields = Record<string, unknown>
const withFields = (request: ForwardedRequest, fields: Fields) =>
  ({ ...request, ...fields }) as ForwardedRequest
const upload = '/v2/team/app/blobs/uploads/upload-1'
const colon = encodeURIComponent(DIGEST)

/** A request; path, query and body of the request to the registry. */
const CASES: readonly [ForwardedRequest, string, string, 'none' | 'manifest' | 'stream'][] = [
  [requests.base(), '/v2/', '', 'none'],
  [requests.manifest(), '/v2/team/app/manifests/latest', '', 'none'],
  [requests.manifest('PUT'), '/v2/team/app/manifests/latest', '', 'manifest'],
  [
    withFields(requests.manifest(), { reference: { digest: DIGEST } }),
    `/v2/team/app/manifests/${DIGEST}`,
    '',
    'none',
  ],
  [requests.blob(), `/v2/team/app/blobs/${DIGEST}`, '', 'none'],
  [requests.uploadStart(), '/v2/team/app/blobs/uploads/', '', 'none'],
  [
    requests.uploadStart('team/other'),
    '/v2/team/app/blobs/uploads/',
    `mount=${colon}&from=team%2Fother`,
    'none',
  ],
  [requests.upload('GET', 'binding'), upload, '', 'none'],
  [requests.upload('DELETE', 'binding'), upload, '', 'none'],
  [withFields(requests.upload('PATCH', 'binding'), { state: 'a=b' }), upload, '_state=a%3Db', 'stream'],
  [
    withFields(requests.upload('PUT', 'binding'), { state: 'x\r\ny', digest: DIGEST }),
    upload,
    `_state=x%0D%0Ay&digest=${colon}`,
    'stream',
  ],
]

for (const [request, path, query, body] of CASES) {
  t.test(`${request.method} ${path} ${query} is built from the parsed request`, async (t) => {
    t.same(toUpstreamRequest(request), { path, query, body })
  })
}
