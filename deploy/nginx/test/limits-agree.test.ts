import type { RequestListener } from 'node:http'
import t from 'tap'
import { HTTP_LIMITS } from '@registry-manager/http'
import { MAX_ACCESS_TOKEN_LENGTH } from '../../../services/auth-service/src/access-tokens/access-token-length.ts'
import { MAX_LIST_BYTES } from '../../../services/auth-service/src/access/grants-routes.ts'
import { send, sendHttp2 } from './fixtures/client.ts'
import { TEMPLATES, startIngress } from './fixtures/ingress.ts'

const KIB = 1024
const [, buffers = '', bufferKib = ''] =
  /^ *large_client_header_buffers (\d+) (\d+)k;$/m.exec(TEMPLATES) ?? []
const HEADER_NAME = 'Authorization: Bearer \r\n'
const token = 't'.repeat(MAX_ACCESS_TOKEN_LENGTH)
const digest = `sha256:${'a'.repeat(64)}`

t.test('the longest token fits into one header buffer of nginx, with room for other headers', async (t) => {
  t.ok(HEADER_NAME.length + MAX_ACCESS_TOKEN_LENGTH <= Number(bufferKib) * KIB)
  t.ok(Number(buffers) >= 2, 'a buffer is left for the request line and the other headers')
})

t.test('the services accept every request head that nginx accepts', async (t) => {
  t.ok(HTTP_LIMITS.maxHeaderSize > Number(buffers) * Number(bufferKib) * KIB)
})

t.test(
  'nginx accepts every body that the token endpoint accepts, so that only the endpoint refuses a larger one',
  async (t) => {
    const [, kib = ''] = /auth\)\/token\/\?\$ \{\s*client_max_body_size (\d+)k;/.exec(TEMPLATES) ?? []
    t.ok(Number(kib) > 64, 'the endpoint accepts 64 KiB')
  },
)

t.test('nginx accepts the longest lists that the management API accepts', async (t) => {
  const [, mib = ''] = /location \/ \{[^}]*client_max_body_size (\d+)m;/.exec(TEMPLATES) ?? []
  t.ok(Number(mib) * KIB * KIB > MAX_LIST_BYTES)
})

t.test(
  'a request with the longest token reaches the service and the registry, over HTTP/1.1 and HTTP/2',
  async (t) => {
    const decide: RequestListener = (request, response) => {
      if (request.headers['x-decide-only'] === undefined) return response.end('{}')
      response.setHeader('x-decided-content', `/.content/blobs/team/app/${digest}`)
      response.end()
    }
    const ingress = await startIngress(t, { authorizes: true, services: { 'registry-proxy': [decide] } })
    const headers = {
      authorization: `Bearer ${token}`,
      'user-agent':
        'docker/28.0.0 go/go1.26 git-commit/abcdef kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/28)',
      accept: 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*',
      'x-request-id': 'r'.repeat(512),
    }
    for (const way of [send, sendHttp2]) {
      const user = await way(ingress, { path: '/user', headers })
      t.equal(user.status, 200, 'a service')
      t.match(user.json, { headers: { authorization: headers.authorization } })
      const blob = await way(ingress, { path: `/v2/team/app/blobs/${digest}`, headers })
      t.match(
        blob.json,
        { service: 'registry', headers: { authorization: headers.authorization } },
        'the registry',
      )
    }
  },
)
