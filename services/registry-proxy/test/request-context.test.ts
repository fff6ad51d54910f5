import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { basic, startProxy } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'
import { sendRequest } from './fixtures/send-request.ts'

const { port, upstream, images, auth, bearer, log } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push', 'delete')]
auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access })
const type = 'application/vnd.oci.image.manifest.v1+json'
const MANIFEST = '/v2/team/app/manifests/latest'

/** The requests that change the index, with the number of calls to image-manager. */
const CHANGES = [
  { method: 'PUT', path: MANIFEST, body: '{"schemaVersion":2}', headers: { 'content-type': type }, calls: 2 },
  { method: 'DELETE', path: MANIFEST, calls: 1 },
  { method: 'DELETE', path: `/v2/team/app/manifests/${DIGEST}`, calls: 1 },
  { method: 'DELETE', path: `/v2/team/app/blobs/${DIGEST}`, calls: 1 },
  { method: 'POST', path: `/v2/team/app/blobs/uploads/?mount=${DIGEST}&from=team/app`, calls: 1 },
]

const PRINCIPALS = {
  'an access token of a user': [bearer(access), { kind: 'user', id: 'uid-alice', name: 'alice' }],
  'a password': [basic('alice', 'pw'), { kind: 'user', id: 'uid-alice', name: 'alice' }],
  'an access token of a registry token': [
    bearer(access, { uid: 'uid-ci', sub: 'ci', kind: 'registry-token' }),
    { kind: 'registry-token', id: 'uid-ci', name: 'ci' },
  ],
} as const

for (const [what, [authorization, principal]] of Object.entries(PRINCIPALS)) {
  t.test(
    `every change by ${what} reaches image-manager with principal, address and request id`,
    async (t) => {
      for (const { calls, ...change } of CHANGES) {
        images.contexts.splice(0)
        log.splice(0)
        upstream.respond = respondWith(201, { 'docker-content-digest': DIGEST })
        await sendRequest(port, change.path, { ...change, authorization })
        const contexts = images.contexts.map((header) =>
          JSON.parse(Buffer.from(String(header), 'base64url').toString()),
        )
        const { reqId } = JSON.parse(log.find((line) => line.includes('request completed')) ?? '{}')
        t.ok(reqId, 'the log has the request id')
        const context = { requestId: reqId, address: '127.0.0.1', principal }
        t.same(
          contexts,
          Array.from({ length: calls }, () => context),
          `${change.method} ${change.path}`,
        )
      }
    },
  )
}

t.test("a client's own context header has no effect", async (t) => {
  images.contexts.splice(0)
  const forged = {
    requestId: 'x',
    address: '192.0.2.1',
    principal: { kind: 'user', id: 'root', name: 'root' },
  }
  const headers = { 'x-request-context': Buffer.from(JSON.stringify(forged)).toString('base64url') }
  await sendRequest(port, MANIFEST, { method: 'DELETE', authorization: bearer(access), headers })
  const [context] = images.contexts
  t.match(JSON.parse(Buffer.from(String(context), 'base64url').toString()), {
    address: '127.0.0.1',
    principal: { name: 'alice' },
  })
})

t.test(
  "a response names the account if nginx requests it, and drops the registry's header of that name",
  async (t) => {
    upstream.respond = respondWith(200, { 'x-account': 'registry', 'docker-content-digest': DIGEST })
    const get = (headers: Record<string, string>) =>
      sendRequest(port, MANIFEST, { authorization: bearer(access), headers })
    t.equal((await get({ 'x-log-account': '1' })).headers['x-account'], 'alice')
    t.equal((await get({})).headers['x-account'], undefined)
    t.equal(
      upstream.requests.at(-2)?.headers['x-log-account'],
      undefined,
      'the registry does not see the question',
    )
  },
)

t.test('the account of a refused request whose body is still arriving is in the response', async (t) => {
  const headers = { 'x-log-account': '1', 'content-type': type, 'content-length': `${5 << 20}` }
  const body = Buffer.alloc(5 << 20)
  const options = { method: 'PUT', authorization: bearer(access), headers, body }
  const response = await sendRequest(port, MANIFEST, options)
  t.equal(response.status, 413)
  t.equal(response.headers['x-account'], 'alice')
})
