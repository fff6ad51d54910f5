import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { ask } from './harness/ask.ts'
import type { Replicas } from './harness/replicas.ts'
import { startReplicas } from './harness/replicas.ts'
import { MANIFEST_TYPE, annotated, digestOf, pushSmallImage } from './harness/small-image.ts'
import type { Credentials, Reachable } from './harness/system.ts'
import { tokenFor } from './harness/system.ts'

const IMAGES = '/image-manager/api/v1/repositories'
/** The longest time that a revoked token may still work. */
const DEADLINE_MS = 5000

/** Tags and the digests of their manifests. */
type Tags = Record<string, string>

/** Returns the tags of a repository in the index, or undefined if the index does not have the repository. */
async function tagsOfIndex(at: Reachable, as: Credentials, repository: string): Promise<Tags | undefined> {
  const { status, json } = await ask(at, `${IMAGES}/${repository}`, { as })
  if (status === 404) return undefined
  const { tags } = json as { tags: { name: string; manifest: object }[] }
  return Object.fromEntries(tags.map(({ name, manifest }) => [name, digestOf(JSON.stringify(manifest))]))
}

/** Returns the tags of a repository from the registry itself. */
async function tagsOfRegistry(system: Replicas, repository: string): Promise<Tags> {
  const bearer = await tokenFor(system, system.admin, `repository:${repository}:pull`)
  const registry = { url: system.registryUrl }
  const { json } = await ask(registry, `/v2/${repository}/tags/list`, { bearer })
  const names = (json as { tags?: string[] | null }).tags ?? []
  const found = names.map(async (name) => {
    const headers = { authorization: `Bearer ${bearer}`, accept: MANIFEST_TYPE }
    const response = await fetch(`${registry.url}/v2/${repository}/manifests/${name}`, { headers })
    await response.arrayBuffer()
    // distribution may still list a tag whose manifest was deleted during a push of the tag. Such a tag does not exist.
    return response.status === 404 ? [] : [[name, response.headers.get('docker-content-digest') ?? 'none']]
  })
  return Object.fromEntries((await Promise.all(found)).flat())
}

/** Checks that both replicas and the registry have the same tags. Returns them. */
async function agree(t: Test, system: Replicas, as: Credentials, repository: string): Promise<Tags> {
  const inRegistry = await tagsOfRegistry(system, repository)
  for (const [replica, at] of system.each.entries()) {
    t.strictSame(
      (await tagsOfIndex(at, as, repository)) ?? {},
      inRegistry,
      `the index of replica ${replica} has the tags`,
    )
    const { json } = await ask(at, `/v2/${repository}/tags/list`, { as })
    const names = (json as { tags?: string[] }).tags ?? []
    t.strictSame(names, Object.keys(inRegistry).toSorted(), `replica ${replica} lists the tags`)
  }
  const [one, other] = await Promise.all(
    system.each.map((at) => ask(at, '/v2/_catalog', { as: system.admin })),
  )
  t.strictSame(one?.text, other?.text, 'the catalog lists the repository')
  return inRegistry
}

/** Checks that a tag's manifest and its blobs exist. */
async function isWhole(t: Test, at: Reachable, as: Credentials, repository: string, tag: string) {
  const { status, json } = await ask(at, `/v2/${repository}/manifests/${tag}`, { as })
  t.equal(status, 200, `the manifest of ${tag} exists`)
  const { config, layers } = json as { config: { digest: string }; layers: { digest: string }[] }
  for (const { digest } of [config, ...layers]) {
    const blob = await ask(at, `/v2/${repository}/blobs/${digest}`, { as, method: 'HEAD' })
    t.equal(blob.status, 200, `the content of ${tag} exists`)
  }
}

const system = await startReplicas(t)
if (system !== undefined) await testReplicas(system)

async function testReplicas(system: Replicas) {
  const jane = await system.createUser('jane', ['team'])
  const [first, second] = system.each as [Reachable, Reachable]
  const put = (at: Reachable, repository: string, tag: string, body: string) =>
    ask(at, `/v2/${repository}/manifests/${tag}`, { method: 'PUT', as: jane, body, type: MANIFEST_TYPE })

  t.test('concurrent pushes of one tag to two replicas leave one consistent tag', async (t) => {
    const image = await pushSmallImage(first, jane, 'team/hot', 'first')
    for (let round = 0; round < 10; round++) {
      const manifests = Array.from({ length: 10 }, (_, at) =>
        annotated(image, `round ${round}, pusher ${at}`),
      )
      const pushed = manifests.map((manifest, at) => put(system.each[at % 2]!, 'team/hot', 'tag', manifest))
      for (const { status, text } of await Promise.all(pushed)) t.equal(status, 201, text)
      const tags = await agree(t, system, jane, 'team/hot')
      t.ok(
        manifests.some((manifest) => digestOf(manifest) === tags['tag']),
        'the tag names one of the pushed manifests',
      )
    }
  })

  t.test('a concurrent push and deletion of a tag leave replicas and registry consistent', async (t) => {
    const image = await pushSmallImage(first, jane, 'team/torn', 'kept')
    const path = '/v2/team/torn/manifests/torn'
    for (let round = 0; round < 10; round++) {
      const pushes = Array.from({ length: 4 }, (_, at) =>
        put(system.each[at % 2]!, 'team/torn', 'torn', annotated(image, `round ${round}, pusher ${at}`)),
      )
      const deletions = system.each.map((at) => ask(at, path, { method: 'DELETE', as: jane }))
      for (const { status, text } of await Promise.all(pushes)) t.equal(status, 201, text)
      for (const { status, text } of await Promise.all(deletions)) t.ok([202, 404].includes(status), text)
      const tags = await agree(t, system, jane, 'team/torn')
      t.equal(tags['kept'], image.digest, 'other tags are not deleted')
    }
  })

  t.test('an upload that began on one replica continues on another', async (t) => {
    const [head, tail] = [randomBytes(1000), randomBytes(1000)]
    const bytes = 'application/octet-stream'
    const begun = await ask(first, '/v2/team/hot/blobs/uploads/', { method: 'POST', as: jane })
    t.equal(begun.status, 202)
    const patch = { method: 'PATCH', as: jane, body: head, type: bytes }
    const patched = await ask(second, begun.headers.get('location') ?? '', patch)
    t.equal(patched.status, 202, patched.text)
    const digest = digestOf(Buffer.concat([head, tail]))
    const close = `${patched.headers.get('location')}&digest=${digest}`
    const foreign = { method: 'PUT', as: system.admin, body: tail, type: bytes }
    t.equal((await ask(second, close, foreign)).status, 404, 'another user cannot continue the upload')
    t.equal((await ask(first, close, { method: 'PUT', as: jane, body: tail, type: bytes })).status, 201)
    for (const at of system.each)
      t.equal((await ask(at, `/v2/team/hot/blobs/${digest}`, { method: 'HEAD', as: jane })).status, 200)
  })

  t.test('tokens of one replica are accepted by the other, and revoked on both', async (t) => {
    const john = await system.createUser('john', ['team'])
    const scope = 'repository:team/hot:pull'
    const bearers = await Promise.all(system.each.map((at) => tokenFor(at, john, scope)))
    const identities = await Promise.all(system.each.map((at) => tokenFor(at, john)))
    const statuses = async () => {
      const asked = system.each.flatMap((at) => [
        ...bearers.map((bearer) => ask(at, '/v2/team/hot/manifests/tag', { bearer })),
        ...identities.map((bearer) => ask(at, `${IMAGES}/team/hot`, { bearer })),
        ask(at, '/v2/team/hot/manifests/tag', { as: john }),
      ])
      return new Set((await Promise.all(asked)).map(({ status }) => status))
    }
    t.strictSame(await statuses(), new Set([200]))
    const { status } = await ask(first, '/user?username=john', { method: 'DELETE', as: system.admin })
    t.equal(status, 204)
    const deadline = Date.now() + DEADLINE_MS
    let seen = await statuses()
    while (seen.has(200) && Date.now() < deadline) {
      await sleep(100)
      seen = await statuses()
    }
    t.strictSame(seen, new Set([401]), 'both replicas refuse the token within five seconds')
  })

  t.test('a repository is deleted on one replica during pushes on the other', async (t) => {
    for (let round = 0; round < 10; round++) {
      const repository = `team/gone-${round}`
      const old = await Promise.all(
        ['a', 'b', 'c'].map((tag) => pushSmallImage(first, jane, repository, tag)),
      )
      const failures: string[] = []
      const stopping = new AbortController()
      // Pushes new images that share the old ones' config, and images that consist of old blobs only.
      const pushers = Array.from({ length: 4 }, async (_, pusher) => {
        for (let number = 0; !stopping.signal.aborted; number++) {
          await pushSmallImage(second, jane, repository, `p${pusher}-${number}`).catch((error: Error) =>
            failures.push(error.message),
          )
        }
      })
      const again = Array.from({ length: 4 }, async (_, pusher) => {
        for (let number = 0; !stopping.signal.aborted; number++) {
          const body = annotated(old[0]!, `${pusher} ${number}`)
          const { status, text } = await put(second, repository, `q${pusher}-${number}`, body)
          if (status !== 201) failures.push(`: ${status} ${text}`)
        }
      })
      await sleep(round * 20)
      const deleted = await ask(first, `${IMAGES}/${repository}`, { method: 'DELETE', as: jane })
      t.equal(deleted.status, 200, deleted.text)
      for (const { digest, layer } of old) {
        for (const at of system.each) {
          t.equal((await ask(at, `/v2/${repository}/manifests/${digest}`, { as: jane })).status, 404)
          t.equal((await ask(at, `/v2/${repository}/blobs/${layer}`, { as: jane })).status, 404)
        }
      }
      stopping.abort()
      await Promise.all([...pushers, ...again])
      for (const failure of failures) t.match(failure, /\b503\b|BLOB_UNKNOWN/)
      const after = await pushSmallImage(second, jane, repository, 'after')
      const tags = await agree(t, system, jane, repository)
      t.equal(tags['after'], after.digest, 'an image that is pushed after the deletion exists')
      for (const tag of Object.keys(tags)) await isWhole(t, first, jane, repository, tag)
    }
  })

  t.test('no service process ended during the tests of replicas', async (t) => {
    t.strictSame(system.ended(), [])
  })
}
