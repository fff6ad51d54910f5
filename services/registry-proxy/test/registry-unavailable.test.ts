import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

/** A port without a server, which the system does not assign either. */
const NOWHERE = 'http://127.0.0.1:1'

const { port, bearer } = await startProxy(t, { registryUrl: NOWHERE })
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push', 'delete')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_binding=${binding}`
const MIB = 1 << 20

const CASES: readonly [string, string, number | undefined][] = [
  ['GET', '/v2/', undefined],
  ['GET', '/v2/team/app/manifests/latest', undefined],
  ['HEAD', `/v2/team/app/blobs/${DIGEST}`, undefined],
  ['DELETE', upload, undefined],
  ['PUT', '/v2/team/app/manifests/latest', 1000],
  ['POST', '/v2/team/app/blobs/uploads/', 0],
  ['PATCH', upload, 5],
  ['PATCH', upload, 32 * MIB],
  ['PUT', `${upload}&digest=${DIGEST}`, 0],
  ['PUT', `${upload}&digest=${DIGEST}`, MIB],
]

for (const [method, target, size] of CASES) {
  t.test(
    `${method} ${target.split('?')[0]} with ${size ?? 'no'} bytes is 503 while the registry is unavailable`,
    async (t) => {
      const body = size === undefined ? {} : { body: Buffer.alloc(size) }
      const response = await sendRequest(port, target, { method, authorization, ...body })
      t.equal(response.status, 503)
      t.match(response.headers['retry-after'], /^[1-9]\d*$/)
      t.equal(response.headers['docker-distribution-api-version'], 'registry/2.0')
      if (method !== 'HEAD') t.equal(response.code, 'UNAVAILABLE')
    },
  )
}

const available = await startProxy(t)
const permitted = available.bearer([repositoryAccess('team/app', 'pull', 'push')])
const body = JSON.stringify({ errors: [{ code: 'UNAVAILABLE', message: 'of the registry', detail: null }] })

for (const status of [429, 500, 502, 503, 504]) {
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    t.test(`${status} of the registry to a ${method} is forwarded without a retry`, async (t) => {
      available.upstream.requests.length = 0
      available.upstream.respond = respondWith(
        status,
        { 'retry-after': '0', 'content-type': 'application/json' },
        body,
      )
      const response = await sendRequest(
        available.port,
        method === 'DELETE' ? upload : `/v2/team/app/blobs/${DIGEST}`,
        {
          method,
          authorization: permitted,
        },
      )
      t.equal(response.status, status)
      t.equal(response.headers['retry-after'], '0')
      if (method !== 'HEAD') t.equal(response.body.toString(), body)
      t.equal(available.upstream.requests.length, 1)
    })
  }
}
