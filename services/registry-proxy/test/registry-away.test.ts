import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { ask } from './fixtures/ask.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

/** A port that nobody listens on, and that the system gives to nobody either. */
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
  t.test(`${method} ${target.split('?')[0]} with ${size ?? 'no'} bytes`, async (t) => {
    const body = size === undefined ? {} : { body: Buffer.alloc(size) }
    const answer = await ask(port, target, { method, authorization, ...body })
    t.equal(answer.status, 503)
    t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
    t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
    if (method !== 'HEAD') t.equal(answer.code, 'UNAVAILABLE')
  })
}

const there = await startProxy(t)
const permitted = there.bearer([repositoryAccess('team/app', 'pull', 'push')])
const body = JSON.stringify({ errors: [{ code: 'UNAVAILABLE', message: 'of the registry', detail: null }] })

for (const status of [429, 500, 502, 503, 504]) {
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    t.test(`${status} to a ${method} is passed on at once, asked once`, async (t) => {
      there.upstream.requests.length = 0
      there.upstream.answer = answerWith(
        status,
        { 'retry-after': '0', 'content-type': 'application/json' },
        body,
      )
      const answer = await ask(there.port, method === 'DELETE' ? upload : `/v2/team/app/blobs/${DIGEST}`, {
        method,
        authorization: permitted,
      })
      t.equal(answer.status, status)
      t.equal(answer.headers['retry-after'], '0')
      if (method !== 'HEAD') t.equal(answer.body.toString(), body)
      t.equal(there.upstream.requests.length, 1)
    })
  }
}
