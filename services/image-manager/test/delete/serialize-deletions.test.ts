import { ServiceCallError } from '@registry-manager/http'
import t from 'tap'
import { serializeDeletions } from '../../src/delete/serialize-deletions.ts'
import { createMemoryRegistry } from '../fixtures/memory-registry.ts'

const TYPE = 'application/vnd.oci.image.index.v1+json'

/** A registry with a number of manifests, distributed evenly among repositories. */
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

t.test(
  'manifests of one repository are deleted one at a time, those of two repositories at the same time',
  async (t) => {
    const { registry, digests } = registryOf(6, ['a/b', 'c/d'])
    const running: string[] = []
    let mostRunning = 0
    const serialized = serializeDeletions({
      ...registry,
      async deleteManifest(repository, digest) {
        t.notOk(running.includes(repository), `no other deletion runs in ${repository}`)
        mostRunning = Math.max(mostRunning, running.push(repository))
        await new Promise((resolve) => setImmediate(resolve))
        running.splice(running.indexOf(repository), 1)
        return registry.deleteManifest(repository, digest)
      },
    })
    const all = digests.map((digest, number) =>
      serialized.deleteManifest(number % 2 === 0 ? 'a/b' : 'c/d', digest),
    )
    t.strictSame(await Promise.all(all), Array(6).fill(true))
    t.equal(mostRunning, 2)
    t.equal(
      await serialized.deleteManifest('a/b', digests[0] ?? ''),
      false,
      'the manifest does not exist any more',
    )
  },
)

t.test('a failed deletion does not fail the next one', async (t) => {
  const { registry, digests } = registryOf(2)
  registry.before = (call) => {
    if (call === `DELETE manifest ${digests[0]}`)
      throw new ServiceCallError('unavailable', { dependency: 'registry', status: 503 })
  }
  const serialized = serializeDeletions(registry)
  const all = await Promise.allSettled(digests.map((digest) => serialized.deleteManifest('a/b', digest)))
  t.match(all, [
    { status: 'rejected', reason: { status: 503 } },
    { status: 'fulfilled', value: true },
  ])
})

t.test('a 500 of the registry counts as success only if the manifest is gone', async (t) => {
  const { registry, digests } = registryOf(2)
  const [gone = '', there = ''] = digests
  registry.after = (call) => {
    if (call === `DELETE manifest ${gone}`)
      throw new ServiceCallError('a tag disappeared', { dependency: 'registry', status: 500 })
  }
  registry.before = (call) => {
    if (call === `DELETE manifest ${there}`)
      throw new ServiceCallError('disk full', { dependency: 'registry', status: 500 })
  }
  const serialized = serializeDeletions(registry)
  t.equal(await serialized.deleteManifest('a/b', gone), true)
  await t.rejects(serialized.deleteManifest('a/b', there), { message: 'disk full' })
})

/** A registry whose deletions do not end before `finish`, behind queues with these limits. */
function slowRegistry(limits?: { waiting: number; waitMs: number }) {
  const { registry } = registryOf(0)
  const slow = Promise.withResolvers<boolean>()
  let started = 0
  const deleteManifest = (_repository: string, _digest: string) => {
    started += 1
    return slow.promise
  }
  const serialized = serializeDeletions({ ...registry, deleteManifest }, limits)
  return { serialized, finish: () => slow.resolve(true), started: () => started }
}

t.test('a hundred deletions of a repository may wait; another one is refused with 429', async (t) => {
  const { serialized, finish } = slowRegistry()
  const accepted = Array.from({ length: 101 }, (_, number) =>
    serialized.deleteManifest('a/b', `sha256:${number}`),
  )
  const refused = await serialized.deleteManifest('a/b', 'sha256:x').catch((error: unknown) => error)
  t.match(refused, {
    problem: { status: 429, detail: /^too many manifests of a\/b /, headers: { 'retry-after': '5' } },
  })
  const other = serialized.deleteManifest('c/d', 'sha256:x')
  finish()
  t.equal(await other, true, 'another repository has its own queue')
  t.strictSame(await Promise.all(accepted), Array(101).fill(true))
})

t.test('a deletion that waits too long is refused, and is not made later', async (t) => {
  const { serialized, finish, started } = slowRegistry({ waiting: 100, waitMs: 20 })
  const first = serialized.deleteManifest('a/b', 'sha256:1')
  const late = await serialized.deleteManifest('a/b', 'sha256:2').catch((error: unknown) => error)
  t.match(late, { problem: { status: 429 } })
  finish()
  t.equal(await first, true)
  t.equal(await serialized.deleteManifest('a/b', 'sha256:3'), true)
  t.equal(started(), 2, 'deletions that reached the registry')
})
