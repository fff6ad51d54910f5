import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST, SHA512 } from './fixtures/requests.ts'

/* image-manager knows every blob before the registry gets it. Otherwise the deletion of a repository would miss it. */

const { port, upstream, images, bearer, log } = await startProxy(t)
const authorization = bearer([
  repositoryAccess('team/app', 'pull', 'push', 'delete'),
  repositoryAccess('team/base', 'pull'),
])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_state=s&_binding=${binding}`
const start = '/v2/team/app/blobs/uploads/'
const send = (method: string, path: string, headers: Record<string, string> = {}, body = '') =>
  sendRequest(port, path, { method, authorization, headers, body })

t.beforeEach(() => {
  upstream.requests.splice(0)
  upstream.respond = respondWith(201, {})
  images.announced.splice(0)
  images.responses.clear()
  images.behaviour = 'up'
})

t.test(
  'an upload is announced before its closing PUT is forwarded, by a sha256 and by a sha512 digest',
  async (t) => {
    for (const digest of [DIGEST, SHA512]) {
      let before: unknown[] = []
      upstream.respond = (incoming, response, recorded) => {
        before = [...images.announced]
        return respondWith(201, {})(incoming, response, recorded)
      }
      t.equal((await send('PUT', `${upload}&digest=${digest}`, {}, 'bytes')).status, 201)
      t.same(before, [{ repository: 'team/app', digest }])
      images.announced.splice(0)
    }
  },
)

t.test('an upload is announced before nginx is allowed to send it', async (t) => {
  const response = await send('PUT', `${upload}&digest=${DIGEST}`, { 'x-decide-only': '1' })
  t.equal(response.status, 200)
  t.same(images.announced, [{ repository: 'team/app', digest: DIGEST }])
  t.same(upstream.requests, [])
})

t.test('a mount is announced, whether the query or a form body names it', async (t) => {
  await send('POST', `${start}?mount=${DIGEST}&from=team/base`)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  await send('POST', start, form, new URLSearchParams({ mount: DIGEST, from: 'team/base' }).toString())
  const blob = { repository: 'team/app', digest: DIGEST }
  t.same(images.announced, [blob, blob])
})

t.test('a request that adds no blob to a repository announces nothing', async (t) => {
  await send('POST', start)
  await send('POST', `${start}?mount=${DIGEST}&from=other/secret`)
  await send('PATCH', upload, {}, 'bytes')
  await send('DELETE', upload)
  await send('GET', `/v2/team/app/blobs/${DIGEST}`)
  t.equal(upstream.requests.length, 5)
  const foreign = upload.replace(binding, 'x'.repeat(binding.length))
  t.equal((await send('PUT', `${foreign}&digest=${DIGEST}`)).status, 404, 'a refused upload')
  t.same(images.announced, [])
})

t.test('an upload that cannot be announced is refused with 503, and a retry succeeds', async (t) => {
  const put = (headers?: Record<string, string>) =>
    send('PUT', `${upload}&digest=${DIGEST}`, headers, 'bytes')
  images.behaviour = 'down'
  for (const headers of [undefined, { 'x-decide-only': '1' }]) {
    const response = await put(headers)
    t.same([response.status, response.code], [503, 'UNAVAILABLE'])
    t.equal(response.headers['retry-after'], '5')
    t.match(messageOf(response), /^image-manager is unavailable \(request /)
  }
  t.same(upstream.requests, [], 'nothing reached the registry')
  images.behaviour = 'up'
  t.equal((await put()).status, 201, 'the retry succeeds')
})

t.test("image-manager's reason for a 503 and its Retry-After reach the client", async (t) => {
  const detail = 'the repository team/app is being deleted (request its-id)'
  for (const [method, path, route] of [
    ['PUT', `${upload}&digest=${DIGEST}`, 'POST /internal/announced-blobs'],
    ['PUT', '/v2/team/app/manifests/latest', 'POST /internal/admissions'],
    ['DELETE', '/v2/team/app/manifests/latest', 'DELETE /internal/manifests'],
    ['GET', '/v2/team/app/tags/list', 'GET /internal/tags'],
  ] as const) {
    images.responses.set(route, { status: 503, headers: { 'retry-after': '2' }, body: { detail } })
    const response = await send(method, path, {}, method === 'PUT' ? '{}' : '')
    t.same([response.status, response.code], [503, 'UNAVAILABLE'], route)
    t.equal(response.headers['retry-after'], '2', 'image-manager sets the time')
    t.equal(messageOf(response), detail, "the request id is image-manager's")
  }
  t.same(upstream.requests, [], 'nothing reached the registry')
})

t.test("image-manager's 429 reaches the client and is logged as a warning", async (t) => {
  const detail = 'too many manifests are being read at once; retry in a second'
  images.responses.set('GET /internal/manifests', {
    status: 429,
    headers: { 'retry-after': '1' },
    body: { detail },
  })
  log.splice(0)
  const response = await send('GET', `/v2/team/app/manifests/${SHA512}`)
  t.same([response.status, response.code], [429, 'TOOMANYREQUESTS'])
  t.equal(response.headers['retry-after'], '1')
  t.equal(messageOf(response), detail)
  const levels = log.map((line) => JSON.parse(line)).filter(({ err }) => err !== undefined)
  t.match(levels, [{ level: 40, msg: 'a dependency responded 429: it has too many requests' }])
})

t.test('other errors of image-manager are not described to the client', async (t) => {
  for (const status of [400, 401, 500, 502]) {
    images.responses.set('POST /internal/announced-blobs', { status, body: { detail: 'an internal detail' } })
    const response = await send('PUT', `${upload}&digest=${DIGEST}`, {}, 'bytes')
    t.equal(response.status, 503, `image-manager responded ${status}`)
    t.match(messageOf(response), /^image-manager is unavailable \(request /)
  }
})

function messageOf({ body }: { readonly body: Buffer }): string {
  return JSON.parse(body.toString('utf8')).errors[0].message
}
