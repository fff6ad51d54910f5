import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy, until } from './fixtures/proxy.ts'

/* Access that a token has only because a repository is global ends when the repository is no longer global. */

const { port, images, bearer } = await startProxy(t)
const path = (name: string) => `/v2/${name}/manifests/latest`
const statusOf = async (access: readonly Access[], name = 'shared/app') =>
  (await sendRequest(port, path(name), { authorization: bearer(access) })).status
const throughGlobalScope = (generation: number): Access => ({
  ...repositoryAccess('shared/app', 'pull'),
  global: [17, generation],
})

t.test('access through the global scope ends with its generation', async (t) => {
  t.equal(await statusOf([throughGlobalScope(0)]), 200)
  images.endedGlobalScopes = { 17: 1 }
  await until(async () => (await statusOf([throughGlobalScope(0)])) === 401)
  t.equal(await statusOf([throughGlobalScope(1)]), 200, 'a token of the next generation')
  t.equal(await statusOf([repositoryAccess('shared/app', 'pull')]), 200, 'access by a grant')
  const both = [throughGlobalScope(0), repositoryAccess('team/app', 'pull')]
  t.equal(await statusOf(both, 'team/app'), 200, 'other access of the same token')
  const refused = await sendRequest(port, path('shared/app'), { authorization: bearer(both) })
  t.match(
    refused.headers['www-authenticate'],
    /error="insufficient_scope"/,
    'the client is sent for another token',
  )
})

t.test(
  'the last list stays valid while image-manager is unavailable; without a list the proxy responds 503',
  async (t) => {
    images.behaviour = 'down'
    t.equal(await statusOf([throughGlobalScope(0)]), 401)
    t.equal(await statusOf([throughGlobalScope(1)]), 200)
    const fresh = await startProxy(t, { imagesBehaviour: 'down' })
    const send17 = (access: readonly Access[]) =>
      sendRequest(fresh.port, path('shared/app'), { authorization: fresh.bearer(access) })
    const response = await send17([throughGlobalScope(1)])
    t.same([response.status, response.code, response.headers['retry-after']], [503, 'UNAVAILABLE', '1'])
    t.equal(
      (await send17([repositoryAccess('shared/app', 'pull')])).status,
      200,
      'tokens without global access',
    )
    fresh.images.behaviour = 'up'
    await until(async () => (await send17([throughGlobalScope(1)])).status === 200)
  },
)
