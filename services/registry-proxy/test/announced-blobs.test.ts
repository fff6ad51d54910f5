import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { ask } from './fixtures/ask.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST, SHA512 } from './fixtures/requests.ts'

/* image-manager knows each blob before the registry gets it, so that a deletion of the repository finds it. */

const { port, upstream, images, bearer } = await startProxy(t)
const authorization = bearer([
  repositoryAccess('team/app', 'pull', 'push', 'delete'),
  repositoryAccess('team/base', 'pull'),
])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_state=s&_binding=${binding}`
const start = '/v2/team/app/blobs/uploads/'
const send = (method: string, path: string, headers: Record<string, string> = {}, body = '') =>
  ask(port, path, { method, authorization, headers, body })

t.beforeEach(() => {
  upstream.requests.splice(0)
  upstream.answer = answerWith(201, {})
  images.announced.splice(0)
  images.answers.clear()
  images.behaviour = 'up'
})

t.test('an upload is announced before its closing PUT is sent, by either kind of digest', async (t) => {
  for (const digest of [DIGEST, SHA512]) {
    let before: unknown[] = []
    upstream.answer = (incoming, response, recorded) => {
      before = [...images.announced]
      return answerWith(201, {})(incoming, response, recorded)
    }
    t.equal((await send('PUT', `${upload}&digest=${digest}`, {}, 'bytes')).status, 201)
    t.same(before, [{ repository: 'team/app', digest }])
    images.announced.splice(0)
  }
})

t.test('an upload is announced before nginx is told to send it', async (t) => {
  const answer = await send('PUT', `${upload}&digest=${DIGEST}`, { 'x-decide-only': '1' })
  t.equal(answer.status, 200)
  t.same(images.announced, [{ repository: 'team/app', digest: DIGEST }])
  t.same(upstream.requests, [])
})

t.test('a mount is announced, from the query and from a form', async (t) => {
  await send('POST', `${start}?mount=${DIGEST}&from=team/base`)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  await send('POST', start, form, new URLSearchParams({ mount: DIGEST, from: 'team/base' }).toString())
  const blob = { repository: 'team/app', digest: DIGEST }
  t.same(images.announced, [blob, blob])
})

t.test('nothing is announced that puts no blob into a repository', async (t) => {
  await send('POST', start)
  await send('POST', `${start}?mount=${DIGEST}&from=other/secret`)
  await send('PATCH', upload, {}, 'bytes')
  await send('DELETE', upload)
  await send('GET', `/v2/team/app/blobs/${DIGEST}`)
  t.equal(upstream.requests.length, 5)
  const foreign = upload.replace(binding, 'x'.repeat(binding.length))
  t.equal((await send('PUT', `${foreign}&digest=${DIGEST}`)).status, 404, 'nor what is refused')
  t.same(images.announced, [])
})

t.test('an upload that cannot be announced is not sent, and may be repeated', async (t) => {
  const put = (headers?: Record<string, string>) =>
    send('PUT', `${upload}&digest=${DIGEST}`, headers, 'bytes')
  const isRefused = ({ status, code, headers }: Awaited<ReturnType<typeof put>>) => {
    t.same([status, code], [503, 'UNAVAILABLE'])
    t.match(headers['retry-after'], /^[1-9]/)
  }
  images.behaviour = 'down'
  isRefused(await put())
  isRefused(await put({ 'x-decide-only': '1' }))
  images.behaviour = 'up'
  images.answers.set('POST /internal/announced-blobs', {
    status: 503,
    body: { detail: 'the repository team/app is being deleted' },
  })
  isRefused(await put())
  t.same(upstream.requests, [])
  images.answers.clear()
  t.equal((await put()).status, 201)
})
