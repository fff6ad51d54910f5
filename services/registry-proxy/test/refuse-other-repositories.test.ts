import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { basic, startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, auth, upstream, bearer } = await startProxy(t)
const access = [repositoryAccess('team/app', 'pull', 'push', 'delete')]
auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access })

const CREDENTIALS: readonly [string, string, number, string][] = [
  ['a token for team/app', bearer(access), 401, 'UNAUTHORIZED'],
  ['an identity token', bearer(null), 401, 'UNAUTHORIZED'],
  ['a token without access', bearer([]), 401, 'UNAUTHORIZED'],
  ['a password', basic('alice', 'pw'), 403, 'DENIED'],
]

/** Names that resemble the granted one. */
const OTHERS = ['other/app', 'team/app2', 'team/ap', 'team', 'team/app/sub', 'app', 'xteam/app', 'team/app.d']

for (const [what, authorization, status, code] of CREDENTIALS) {
  for (const repository of what.includes('for team/app') ? OTHERS : ['other/app', 'team/app2']) {
    t.test(`${what} does not permit requests to ${repository}`, async (t) => {
      const requests: readonly [string, string][] = [
        ['GET', `manifests/latest`],
        ['HEAD', `manifests/${DIGEST}`],
        ['GET', `blobs/${DIGEST}`],
        ['GET', 'tags/list'],
        ['GET', `referrers/${DIGEST}`],
        ['PUT', 'manifests/latest'],
        ['POST', 'blobs/uploads/'],
        ['POST', `blobs/uploads/?mount=${DIGEST}&from=team/app`],
        ['PATCH', 'blobs/uploads/upload-1'],
        ['PUT', `blobs/uploads/upload-1?digest=${DIGEST}`],
        ['DELETE', 'manifests/latest'],
        ['DELETE', `blobs/${DIGEST}`],
        ['DELETE', 'blobs/uploads/upload-1'],
      ]
      for (const [method, rest] of requests) {
        const response = await sendRequest(port, `/v2/${repository}/${rest}`, { method, authorization })
        t.equal(response.status, status, `${method} ${rest}`)
        if (method !== 'HEAD') t.equal(response.code, code)
      }
      t.same(upstream.requests, [], 'nothing reached the registry')
    })
  }
}

t.test('access to a repository does not permit the catalog', async (t) => {
  const response = await sendRequest(port, '/v2/_catalog', { authorization: bearer(access) })
  t.equal(response.status, 401)
  t.same(upstream.requests, [])
})

t.test('an identity token permits GET /v2/', async (t) => {
  t.equal((await sendRequest(port, '/v2/', { authorization: bearer(null) })).status, 200)
  t.equal(upstream.only().url, '/v2/')
})
