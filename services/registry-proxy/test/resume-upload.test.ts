import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy } from './fixtures/proxy.ts'
import { answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push')]
const authorization = bearer(access)
const uploads = '/v2/team/app/blobs/uploads/'

/** A state as distribution makes it: a signature, and what is signed. */
const stateOf = (offset: number) =>
  Buffer.concat([Buffer.alloc(32, offset), Buffer.from(JSON.stringify({ Offset: offset }))]).toString(
    'base64url',
  )
const answerAt = (status: number, offset: number) =>
  answerWith(status, {
    location: `${upstream.url}${uploads}u1?_state=${stateOf(offset)}`,
    range: `0-${Math.max(0, offset - 1)}`,
    'content-length': '0',
  })
const send = (method: string, target: string, headers: Record<string, string> = {}, as = authorization) =>
  ask(port, target, { method, authorization: as, headers: { 'content-length': '0', ...headers } })

upstream.answer = answerAt(202, 0)
const begun = String((await send('POST', uploads)).headers.location)
upstream.answer = answerAt(202, 10)
const further = String((await send('PATCH', begun)).headers.location)
upstream.requests.length = 0

t.test('the registry gets the newest state, where the client has an older one', async (t) => {
  upstream.answer = answerAt(204, 10)
  for (const [method, headers] of [
    ['GET', {}],
    ['HEAD', {}],
    ['DELETE', {}],
    ['PATCH', { 'content-range': '10-19', 'content-length': '10' }],
  ] as const) {
    const body = method === 'PATCH' ? '0123456789' : undefined
    await ask(port, begun, { method, authorization, headers, body })
    const sent = upstream.requests
      .splice(0)
      .map(({ url }) => new URL(url, 'http://x').searchParams.get('_state'))
    t.same(new Set(sent), new Set([stateOf(10)]), method)
  }
})

t.test(
  'bytes that do not say where they belong are 416, and the answer says where the upload goes on',
  async (t) => {
    for (const [method, target] of [
      ['PATCH', begun],
      ['PUT', `${begun}&digest=${DIGEST}`],
    ] as const) {
      const answer = await send(method, target)
      t.equal(answer.status, 416, method)
      t.equal(answer.code, 'BLOB_UPLOAD_INVALID')
      t.equal(answer.headers.range, '0-9')
      t.equal(answer.headers.location, further, 'with the binding of its account')
    }
    t.same(upstream.requests, [])
  },
)

t.test('a state is told to nobody but the account that began the upload', async (t) => {
  const other = bearer(access, { sub: 'bob', uid: 'uid-bob' })
  for (const method of ['GET', 'PATCH', 'DELETE']) {
    const answer = await send(method, begun, {}, other)
    t.equal(answer.status, 404, method)
    t.equal(answer.headers.location, undefined)
  }
  t.same(upstream.requests, [])
})
