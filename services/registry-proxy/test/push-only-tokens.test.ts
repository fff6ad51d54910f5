import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { sendRequest } from './fixtures/send-request.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'push')])
const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
const upload = `/v2/team/app/blobs/uploads/u1?_binding=${binding}`

/** The claims of the token that reached the registry. */
const claimsSent = () => {
  const [, payload = ''] = upstream.only().headers.authorization?.split('.') ?? []
  upstream.requests.length = 0
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
}

/** distribution requires more than push for each of these. The service token has exactly that access. */
const CASES: readonly [string, string, string[]][] = [
  ['DELETE', upload, ['delete']],
  ['PATCH', upload, ['pull', 'push']],
  ['PUT', `${upload}&digest=${DIGEST}`, ['pull', 'push']],
  ['GET', upload, ['pull']],
  ['POST', '/v2/team/app/blobs/uploads/', ['pull', 'push']],
  ['PUT', '/v2/team/app/manifests/latest', ['pull', 'push']],
  ['GET', '/v2/team/app/manifests/latest', ['pull']],
]

for (const [method, target, actions] of CASES) {
  t.test(
    `${method} ${target.split('?')[0]} with a push-only token is sent with a service token`,
    async (t) => {
      const response = await sendRequest(port, target, {
        method,
        authorization,
        headers: { 'content-length': '0' },
      })
      t.equal(response.status, 200)
      const { sub, uid, access } = claimsSent()
      t.equal(sub, 'service:registry-proxy')
      t.equal(uid, undefined)
      t.same(access, [{ type: 'repository', name: 'team/app', actions }])
    },
  )
}

t.test('service tokens are cached by access', async (t) => {
  t.equal(auth.callsOf('/internal/service-tokens'), 3, 'for delete, for pull and push, for pull')
})

t.test('a token with enough access is forwarded', async (t) => {
  const own = bearer([repositoryAccess('team/app', 'pull', 'push')])
  await sendRequest(port, upload, { method: 'PATCH', authorization: own })
  t.equal(upstream.only().headers.authorization, own)
  upstream.requests.length = 0
})

t.test('push does not permit a deletion', async (t) => {
  for (const target of ['/v2/team/app/manifests/latest', `/v2/team/app/blobs/${DIGEST}`]) {
    t.equal((await sendRequest(port, target, { method: 'DELETE', authorization })).status, 401)
  }
  t.same(upstream.requests, [])
})
