import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { basic, startProxy } from './fixtures/proxy.ts'
import { answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access: [] })

const BASE = 'Bearer realm="https://registry.test/auth/v2/token",service="registry.test"'
const app = '/v2/team/app'
const mount = `${app}/blobs/uploads/?mount=${DIGEST}&from=base/alpine`

/** Request, and what its challenge says after realm and service. */
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
  t.test(`${method} ${target}`, async (t) => {
    const anonymous = await ask(port, target, { method })
    t.equal(anonymous.status, 401)
    t.equal(anonymous.headers['www-authenticate'], `${BASE}${scope}`)
    t.equal(anonymous.headers['docker-distribution-api-version'], 'registry/2.0')
    t.match(anonymous.headers['content-type'], /^application\/json/)

    const invalid = await ask(port, target, { method, authorization: 'Bearer abc' })
    t.equal(invalid.status, 401)
    t.equal(invalid.headers['www-authenticate'], `${BASE}${scope},error="invalid_token"`)
    if (scope === '') return

    const without = await ask(port, target, {
      method,
      authorization: bearer([repositoryAccess('x', 'pull')]),
    })
    t.equal(without.status, 401, 'a valid token without the right')
    t.equal(without.headers['www-authenticate'], `${BASE}${scope},error="insufficient_scope"`)

    const password = await ask(port, target, { method, authorization: basic('alice', 'pw') })
    t.equal(password.status, 403, 'a password without the right')
    t.equal(password.headers['www-authenticate'], undefined)
    t.same(upstream.requests, [])
  })
}

t.test('a foreign repository answers the same whether it exists or not', async (t) => {
  const authorizations = [undefined, bearer([repositoryAccess('team/app', 'pull')]), basic('alice', 'pw')]

  const answersWhen = async (status: number) => {
    upstream.answer = answerWith(status, {}, 'a manifest, or none')
    const answers = []
    for (const authorization of authorizations) {
      const answer = await ask(port, '/v2/other/app/manifests/latest', { authorization })
      answers.push({ ...answer, headers: { ...answer.headers, date: '' }, body: answer.body.toString() })
    }
    return answers
  }

  const existing = await answersWhen(200)
  t.same(await answersWhen(404), existing)
  t.same(
    existing.map(({ status }) => status),
    [401, 401, 403],
  )
  t.same(upstream.requests, [])
})
