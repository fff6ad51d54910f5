import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { ask } from '../harness/ask.ts'
import { MANIFEST_TYPE, annotated, digestOf, pushSmallImage } from '../harness/small-image.ts'
import type { Credentials, System } from '../harness/system.ts'
import { startStack, tokenFor } from '../harness/system.ts'

/** The longest time that content may still be read after a revocation. */
const DEADLINE_MS = 5000
/** Number of reads of content after which every replica and cache has it. */
const WARM = 8
const PUSHES = { volume: 1000, cache: 100, registry: 100 }

/** A reader that sends requests with one token. */
async function readerOf(system: System, credentials: Credentials, scope: string) {
  const bearer = await tokenFor(system, credentials, scope)
  return (path: string, method = 'GET') => ask(system, path, { bearer, method })
}
type Read = Awaited<ReturnType<typeof readerOf>>

async function warm(t: Test, read: Read, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    for (let number = 0; number < WARM; number += 1) t.equal((await read(path)).status, 200, path)
  }
}

async function allAreGone(t: Test, read: Read, paths: readonly string[], why: string): Promise<void> {
  for (let number = 0; number < WARM; number += 1) {
    for (const path of paths) {
      for (const method of ['GET', 'HEAD'])
        t.equal((await read(path, method)).status, 404, `${method} ${path}: ${why}`)
    }
  }
}

for (const source of ['volume', 'cache', 'registry'] as const) {
  t.test(`content is read with CONTENT_FROM=${source}`, async (t) => {
    const system = await startStack(t, { env: { CONTENT_FROM: source } })
    const { admin } = system
    const alice = await system.createUser('alice', ['team'])

    await t.test('a pushed tag is visible to the next read on every replica', async (t) => {
      const image = await pushSmallImage(system, alice, 'team/app', 'latest')
      const bearer = await tokenFor(system, alice, 'repository:team/app:pull,push')
      const versions = ['one', 'two', 'three'].map((note) => annotated(image, note))
      const path = '/v2/team/app/manifests/latest'
      const stale: string[] = []
      for (let push = 0; push < PUSHES[source]; push += 1) {
        const body = versions[push % versions.length] ?? ''
        const pushed = await ask(system, path, { method: 'PUT', bearer, body, type: MANIFEST_TYPE })
        const head = await ask(system, path, { method: 'HEAD', bearer })
        const read = await ask(system, path, { bearer })
        const isRight =
          pushed.status === 201 &&
          head.headers.get('docker-content-digest') === digestOf(body) &&
          read.headers.get('docker-content-digest') === digestOf(body) &&
          read.headers.get('content-type') === MANIFEST_TYPE &&
          read.text === body
        if (!isRight) stale.push(`push ${push}: ${pushed.status} ${head.status} ${read.status} ${read.text}`)
      }
      t.strictSame(stale, [])
    })

    await t.test('deleted content is unreadable when the response to the deletion arrives', async (t) => {
      const { digest, layer } = await pushSmallImage(system, alice, 'team/deleted', 'v1')
      const read = await readerOf(system, alice, 'repository:team/deleted:pull')
      const manifests = [`/v2/team/deleted/manifests/${digest}`, '/v2/team/deleted/manifests/v1']
      const blobs = [`/v2/team/deleted/blobs/${layer}`]
      await warm(t, read, [...manifests, ...blobs])
      const blob = await ask(system, blobs[0] ?? '', { method: 'DELETE', as: alice })
      t.equal(blob.status, 202)
      await allAreGone(t, read, blobs, 'the blob was deleted')
      const manifest = await ask(system, manifests[0] ?? '', { method: 'DELETE', as: alice })
      t.equal(manifest.status, 202)
      await allAreGone(t, read, manifests, 'the manifest was deleted')

      const whole = await pushSmallImage(system, alice, 'team/whole', 'v1')
      const readWhole = await readerOf(system, alice, 'repository:team/whole:pull')
      const all = ['v1', whole.digest].map((name) => `/v2/team/whole/manifests/${name}`)
      const layers = [`/v2/team/whole/blobs/${whole.layer}`]
      await warm(t, readWhole, [...all, ...layers])
      const path = '/image-manager/api/v1/repositories/team/whole'
      t.ok((await ask(system, path, { method: 'DELETE', as: alice })).status < 300)
      await allAreGone(t, readWhole, [...all, ...layers], 'the repository was deleted')
    })

    await t.test(
      'a blob is read only from a repository that has it, and only with a right to it',
      async (t) => {
        const image = await pushSmallImage(system, alice, 'team/secret', 'v1')
        await pushSmallImage(system, alice, 'team/public', 'v1')
        const read = await readerOf(system, alice, 'repository:team/secret:pull repository:team/public:pull')
        const blob = `/v2/team/secret/blobs/${image.layer}`
        await warm(t, read, [blob])
        await allAreGone(t, read, [`/v2/team/public/blobs/${image.layer}`], 'it is in another repository')
        const eve = await system.createUser(`eve-${source}`, ['elsewhere'])
        const readAsEve = await readerOf(system, eve, 'repository:team/secret:pull')
        for (let number = 0; number < WARM; number += 1) {
          t.equal((await readAsEve(blob)).status, 401)
          t.equal((await ask(system, blob)).status, 401)
        }
      },
    )

    await t.test('a revocation ends reads that are repeated', async (t) => {
      const { layer } = await pushSmallImage(system, alice, 'team/revoked', 'v1')
      const bob = await system.createUser('bob', ['team'])
      const read = await readerOf(system, bob, 'repository:team/revoked:pull')
      const path = `/v2/team/revoked/blobs/${layer}`
      await warm(t, read, [path])
      const body = JSON.stringify({ username: 'bob', enabled: false })
      t.ok((await ask(system, '/user', { method: 'PATCH', as: admin, body })).status < 300)
      const deadline = Date.now() + DEADLINE_MS
      let last = 200
      // Reads follow each other closely, so that the decision stays in use. They stay below nginx's request limit.
      while (last === 200 && Date.now() < deadline) {
        last = (await read(path)).status
        await sleep(5)
      }
      t.equal(last, 401, 'the token is refused in time')
      await sleep(200)
      for (let number = 0; number < WARM; number += 1) t.equal((await read(path)).status, 401)
    })
  })
}
