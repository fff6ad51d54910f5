import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { basic, startProxy } from './fixtures/proxy.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access: [] })

const BASE = 'Bearer realm="https://registry.test/auth/v2/token",service="registry.test"'
const app = '/v2/team/app'
const mount = `${app}/blobs/uploads/?mount=${DIGEST}&from=base/alpine`

/** A request, and its challenge after realm and service. */
const CHALLENGES: readonly [string, string, string][] = [
  ['GET', '/v2/', ''],
  ['HEAD', '/v2/', ''],
  ['GET', '/v2', ''],
  ['GET', '/v2/_catalog', ',scope="registry:catalog:*"'],
  ['GET', `${app}/manifests/latest`, ',scope="repository:team/app:pull"'],
  ['HEAD', `${app}/manifests/latest`, ',scope="repository:team/app:pull"'],
  ['GET', `${app}/blobs/${DIGEST}`, ',scope="repository:team/app:pull"'],
  ['GET', `${app}/tags/list`, ',scope="repository:team/app:pull"'],
  ['GET', `${app}/referrers/${DIGEST}`, ',scope="repository:team/app:pull"'],
  ['PUT', `${app}/manifests/latest`, ',scope="repository:team/app:pull,push"'],
  ['POST', `${app}/blobs/uploads/`, ',scope="repository:team/app:pull,push"'],
  ['PATCH', `${app}/blobs/uploads/u`, ',scope="repository:team/app:pull,push"'],
  ['PUT', `${app}/blobs/uploads/u?digest=${DIGEST}`, ',scope="repository:team/app:pull,push"'],
  ['DELETE', `${app}/blobs/uploads/u`, ',scope="repository:team/app:pull,push"'],
  ['GET', `${app}/blobs/uploads/u`, ',scope="repository:team/app:pull"'],
  ['DELETE', `${app}/manifests/latest`, ',scope="repository:team/app:delete"'],
  ['DELETE', `${app}/blobs/${DIGEST}`, ',scope="repository:team/app:delete"'],
  ['POST', mount, ',scope="repository:team/app:pull,push repository:base/alpine:pull"'],
]

for (const [method, target, scope] of CHALLENGES) {
  t.test(`${method} ${target} is challenged for ${scope.slice(1) || 'any token'}`, async (t) => {
    const anonymous = await sendRequest(port, target, { method })
    t.equal(anonymous.status, 401)
    t.equal(anonymous.headers['www-authenticate'], `${BASE}${scope}`)
    t.equal(anonymous.headers['docker-distribution-api-version'], 'registry/2.0')
    t.match(anonymous.headers['content-type'], /^application\/json/)

    const invalid = await sendRequest(port, target, { method, authorization: 'Bearer abc' })
    t.equal(invalid.status, 401)
    t.equal(invalid.headers['www-authenticate'], `${BASE}${scope},error="invalid_token"`)
    if (scope === '') return

    const without = await sendRequest(port, target, {
      method,
      authorization: bearer([repositoryAccess('x', 'pull')]),
    })
    t.equal(without.status, 401, 'a valid token without the access')
    t.equal(without.headers['www-authenticate'], `${BASE}${scope},error="insufficient_scope"`)

    const password = await sendRequest(port, target, { method, authorization: basic('alice', 'pw') })
    t.equal(password.status, 403, 'a password without the access')
    t.equal(password.headers['www-authenticate'], undefined)
    t.same(upstream.requests, [])
  })
}

t.test(
  'the response for a repository without access is the same whether the repository exists or not',
  async (t) => {
    const authorizations = [undefined, bearer([repositoryAccess('team/app', 'pull')]), basic('alice', 'pw')]

    const responsesWhen = async (status: number) => {
      upstream.respond = respondWith(status, {}, 'a manifest, or none')
      const responses = []
      for (const authorization of authorizations) {
        const response = await sendRequest(port, '/v2/other/app/manifests/latest', { authorization })
        responses.push({
          ...response,
          headers: { ...response.headers, date: '' },
          body: response.body.toString(),
        })
      }
      return responses
    }

    const existing = await responsesWhen(200)
    t.same(await responsesWhen(404), existing)
    t.same(
      existing.map(({ status }) => status),
      [401, 401, 403],
    )
    t.same(upstream.requests, [])
  },
)
