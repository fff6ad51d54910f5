import { ServiceCallError } from '@registry-manager/http'
import t from 'tap'
import { withDeletionsInTurn } from '../../src/delete/deletions-in-turn.ts'
import { createMemoryRegistry } from '../fixtures/memory-registry.ts'

const TYPE = 'application/vnd.oci.image.index.v1+json'

/** Manifests one after another in each of the repositories in turn. */
function registryOf(count: number, repositories = ['a/b']) {
  const registry = createMemoryRegistry()
  const digests = [...Array(count).keys()].map((number) =>
    registry.push(
      Buffer.from(`{"${number}":1}`),
      TYPE,
      undefined,
      repositories[number % repositories.length],
    ),
  )
  return { registry, digests }
}

t.test('one at a time for a repository, side by side for two', async (t) => {
  const { registry, digests } = registryOf(6, ['a/b', 'c/d'])
  const under: string[] = []
  let most = 0
  const inTurn = withDeletionsInTurn({
    ...registry,
    async deleteManifest(repository, digest) {
      t.notOk(under.includes(repository), `${repository} is alone`)
      most = Math.max(most, under.push(repository))
      await new Promise((resolve) => setImmediate(resolve))
      under.splice(under.indexOf(repository), 1)
      return registry.deleteManifest(repository, digest)
    },
  })
  const all = digests.map((digest, number) => inTurn.deleteManifest(number % 2 === 0 ? 'a/b' : 'c/d', digest))
  t.strictSame(await Promise.all(all), Array(6).fill(true))
  t.equal(most, 2)
  t.equal(await inTurn.deleteManifest('a/b', digests[0] ?? ''), false, 'what is not there')
})

t.test('a failure is its own, and not the next one’s', async (t) => {
  const { registry, digests } = registryOf(2)
  registry.before = (call) => {
    if (call === `DELETE manifest ${digests[0]}`)
      throw new ServiceCallError('away', { dependency: 'registry', status: 503 })
  }
  const inTurn = withDeletionsInTurn(registry)
  const all = await Promise.allSettled(digests.map((digest) => inTurn.deleteManifest('a/b', digest)))
  t.match(all, [
    { status: 'rejected', reason: { status: 503 } },
    { status: 'fulfilled', value: true },
  ])
})

t.test('500 with the manifest gone is a deletion; with the manifest there a failure', async (t) => {
  const { registry, digests } = registryOf(2)
  const [gone = '', there = ''] = digests
  registry.after = (call) => {
    if (call === `DELETE manifest ${gone}`)
      throw new ServiceCallError('a tag went away', { dependency: 'registry', status: 500 })
  }
  registry.before = (call) => {
    if (call === `DELETE manifest ${there}`)
      throw new ServiceCallError('disk full', { dependency: 'registry', status: 500 })
  }
  const inTurn = withDeletionsInTurn(registry)
  t.equal(await inTurn.deleteManifest('a/b', gone), true)
  await t.rejects(inTurn.deleteManifest('a/b', there), { message: 'disk full' })
})
