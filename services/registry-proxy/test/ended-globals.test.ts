import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy, until } from './fixtures/proxy.ts'

/* Access that was granted because a repository is global ends when the repository ceases to be that. */

const { port, images, bearer } = await startProxy(t)
const path = (name: string) => `/v2/${name}/manifests/latest`
const statusOf = async (access: readonly Access[], name = 'shared/app') =>
  (await ask(port, path(name), { authorization: bearer(access) })).status
const byGlobality = (generation: number): Access => ({
  ...repositoryAccess('shared/app', 'pull'),
  global: [17, generation],
})

t.test('access by globality ends with the generation that it was granted in', async (t) => {
  t.equal(await statusOf([byGlobality(0)]), 200)
  images.endedGlobals = { 17: 1 }
  await until(async () => (await statusOf([byGlobality(0)])) === 401)
  t.equal(await statusOf([byGlobality(1)]), 200, 'global once more: a token of that time pulls')
  t.equal(await statusOf([repositoryAccess('shared/app', 'pull')]), 200, 'access by a grant is not touched')
  const both = [byGlobality(0), repositoryAccess('team/app', 'pull')]
  t.equal(await statusOf(both, 'team/app'), 200, 'what else the token permits stays')
  const refused = await ask(port, path('shared/app'), { authorization: bearer(both) })
  t.match(
    refused.headers['www-authenticate'],
    /error="insufficient_scope"/,
    'a client asks for another token',
  )
})

t.test('while image-manager is away the last list holds; one that was never loaded is 503', async (t) => {
  images.behaviour = 'down'
  t.equal(await statusOf([byGlobality(0)]), 401)
  t.equal(await statusOf([byGlobality(1)]), 200)
  const fresh = await startProxy(t, { imagesBehaviour: 'down' })
  const ask17 = (access: readonly Access[]) =>
    ask(fresh.port, path('shared/app'), { authorization: fresh.bearer(access) })
  const answer = await ask17([byGlobality(1)])
  t.same([answer.status, answer.code, answer.headers['retry-after']], [503, 'UNAVAILABLE', '1'])
  t.equal((await ask17([repositoryAccess('shared/app', 'pull')])).status, 200, 'others do not need it')
  fresh.images.behaviour = 'up'
  await until(async () => (await ask17([byGlobality(1)])).status === 200)
})
