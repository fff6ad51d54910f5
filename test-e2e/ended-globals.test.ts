import t from 'tap'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { makeImage } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

const API = '/image-manager/api/v1/repositories'

t.test('an old token does not pull from a repository that ceased to be global', async (t) => {
  const system = await startSystem(t)
  const jane = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
  const stranger = await system.createUser('stranger', ['elsewhere'])
  const token = async (repository: string) => {
    const bearer = await tokenFor(system, stranger, `repository:${repository}:pull`)
    return createRegistryClient(system.url, `Bearer ${bearer}`)
  }
  const setScope = async (repository: string, scope: string) =>
    jane.send('PUT', `${API}/${repository}`, { body: JSON.stringify({ scope }) })
  const endings = {
    deleted: async (repository: string) => jane.send('DELETE', `${API}/${repository}`),
    private: async (repository: string) => setScope(repository, 'namespace'),
    emptied: async (repository: string, digest: string) =>
      jane.send('DELETE', `/v2/${repository}/manifests/${digest}`),
  }
  for (const [how, end] of Object.entries(endings)) {
    const [repository, old] = [`team/global-${how}`, makeImage()]
    await jane.push(repository, old, 'v1')
    t.equal((await setScope(repository, 'global')).status, 200)
    const reader = await token(repository)
    const pull = async () => (await reader.send('GET', `/v2/${repository}/manifests/v1`)).status
    t.equal(await pull(), 200, 'the token pulls while the repository is global')
    await end(repository, old.descriptor.digest)
    await jane.push(repository, makeImage(), 'v1')
    t.equal(await waitForAllReplicas(pull, 401, 5000), 401, `${how}: the token is refused within 5 seconds`)
    const pullWithNewToken = async () =>
      (await (await token(repository)).send('GET', `/v2/${repository}/manifests/v1`)).status
    t.equal(await waitForAllReplicas(pullWithNewToken, 401, 6000), 401, 'a new token does not pull')
    // A repository that is global again can be pulled with a new token, but not with the old one.
    t.equal((await setScope(repository, 'global')).status, 200)
    t.equal(await pull(), 401, 'the old token stays refused')
    t.equal(await waitForAllReplicas(pullWithNewToken, 200, 10_000), 200, 'a new token pulls')
  }
})
