import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import type { Made } from './harness/manifests.ts'
import { EMPTY, digestOf, makeImage, makeIndex, randomLayer } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { registryTokens, scope } from './harness/registry-tokens.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/*
 * While content lies in the trash nobody can read a byte of it, in any form. After it is restored, every byte is there
 * again. The registry is a real one.
 */

const system = await startSystem(t)
const owner = await system.createUser('jane', ['team'])
const [jane, next, admin] = [
  createRegistryClient(system.url, basic(owner)),
  createRegistryClient(system.url, basic(await system.createUser('next', ['team', 'other']))),
  createRegistryClient(system.url, basic(system.admin)),
]
const tokens = await registryTokens(system)
const robot = createRegistryClient(
  system.url,
  basic(await tokens.make('robot', [scope('*', 'pull', 'push', 'delete')])),
)
const API = '/image-manager/api/v1/repositories'
const json = { 'content-type': 'application/json' }

interface Entry {
  readonly id: string
  readonly kind: string
  readonly repository: string
  readonly digest: string | null
  readonly tags: readonly string[]
}
const listTrash = async (namespace = 'team'): Promise<readonly Entry[]> =>
  (await admin.send('GET', `/namespaces/${namespace}/trash`)).json.items
const restore = async (id: string, namespace = 'team') =>
  admin.send('POST', `/namespaces/${namespace}/trash/${id}/restore`)

/** All blobs of a manifest and of those that it references, by their digests. */
const blobsOf = ({ blobs, children, algorithm }: Made): string[] => [
  ...blobs.map((blob) => digestOf(blob, algorithm)),
  ...children.flatMap(blobsOf),
]
const bytesOf = ({ blobs, children, algorithm }: Made): [string, Buffer][] => [
  ...blobs.map((blob): [string, Buffer] => [digestOf(blob, algorithm), blob]),
  ...children.flatMap(bytesOf),
]
const manifestsOf = (made: Made): [string, Buffer][] => [
  [made.descriptor.digest, made.bytes],
  ...made.children.flatMap(manifestsOf),
]

/** Nobody reads anything of a repository that lies in the trash, under its own name or under that of the trash. */
async function checkUnreadable(
  t: Test,
  { repository, id }: { readonly repository: string; readonly id: string },
  { manifests, blobs }: { readonly manifests: readonly string[]; readonly blobs: readonly string[] },
) {
  const trash = `registry-manager-trash/${id}`
  for (const [at, client] of [jane, next, admin, robot].entries()) {
    for (const name of [repository, trash]) {
      for (const reference of manifests) {
        for (const method of ['GET', 'HEAD']) {
          const { status, body } = await client.send(method, `/v2/${name}/manifests/${reference}`)
          t.ok([400, 403, 404].includes(status), `${at} ${method} ${name} ${reference}: ${status}`)
          t.notOk(body.includes('schemaVersion'))
        }
      }
      for (const digest of blobs) {
        for (const [method, headers] of [
          ['GET', {}],
          ['HEAD', {}],
          ['GET', { range: 'bytes=0-3' }],
        ] as const) {
          const { status } = await client.send(method, `/v2/${name}/blobs/${digest}`, { headers })
          t.ok([400, 403, 404].includes(status), `${at} ${method} ${name} ${digest}: ${status}`)
        }
      }
    }
    for (const path of ['tags/list', `referrers/${manifests[1]}`])
      t.equal((await client.send('GET', `/v2/${trash}/${path}`)).status, 400)
    const catalog = await client.send('GET', '/v2/_catalog?n=1000')
    t.notOk(catalog.body.includes('registry-manager-trash'), 'the catalog does not show the trash')
    t.notOk((await client.send('GET', API)).body.includes('registry-manager-trash'))
    for (const path of [trash, encodeURIComponent(trash)])
      t.ok((await client.send('GET', `${API}/${path}`)).status >= 400)
  }
  for (const digest of blobs) {
    for (const from of [repository, trash, encodeURIComponent(trash)]) {
      const { status } = await admin.send(
        'POST',
        `/v2/other/taken/blobs/uploads/?mount=${digest}&from=${from}`,
      )
      t.notOk(status === 201, `${digest} is not mounted from ${from}: ${status}`)
    }
  }
  for (const method of ['PUT', 'DELETE', 'PATCH', 'POST'] as const) {
    const { status } = await admin.send(method, `/v2/${trash}/manifests/${manifests[0]}`)
    t.ok(status >= 400, `${method}: ${status}`)
  }
  t.equal((await admin.send('POST', `/v2/${trash}/blobs/uploads/`)).status, 400)
  const wanted = `repository:${trash}:pull,push,delete repository:registry-manager-trash:pull`
  const claims = (await tokenFor(system, system.admin, wanted)).split('.')[1] ?? ''
  t.same(JSON.parse(Buffer.from(claims, 'base64url').toString()).access, [], 'no token names the trash')
  for (const repositories of [trash, 'registry-manager-trash/*']) {
    const grant = { subject: { kind: 'user', name: 'next' }, repositories, role: 'reader' }
    const granted = await admin.send('POST', '/namespaces/*/grants', {
      headers: json,
      body: JSON.stringify(grant),
    })
    t.equal(granted.status, 400, `no grant names ${repositories}`)
  }
}

async function checkReadable(t: Test, repository: string, made: Made) {
  for (const [digest, bytes] of manifestsOf(made)) {
    const got = await jane.send('GET', `/v2/${repository}/manifests/${digest}`)
    t.strictSame([got.status, got.body.equals(bytes)], [200, true], `the manifest ${digest}`)
  }
  for (const [digest, bytes] of bytesOf(made)) {
    const got = await jane.send('GET', `/v2/${repository}/blobs/${digest}`)
    t.strictSame([got.status, got.body.equals(bytes)], [200, true], `the blob ${digest}`)
  }
}

const remove = async (repository: string, digest: string) =>
  (await jane.send('DELETE', `/v2/${repository}/manifests/${digest}`)).status

t.test('a deleted image is unreadable, and comes back with tags, blobs and signatures', async (t) => {
  const shared = randomLayer()
  const [image, other] = [makeImage({ layers: [shared, randomLayer()] }), makeImage({ layers: [shared] })]
  const { descriptor } = image
  const signature = makeImage({
    config: EMPTY,
    layers: [randomLayer(64)],
    fields: { artifactType: 'application/vnd.example.signature', subject: descriptor },
  })
  await jane.push('team/image', image, 'one')
  await jane.push('team/image', image, 'two')
  await jane.push('team/image', other, 'other')
  await jane.push('team/image', signature)
  for (const digest of blobsOf(image))
    t.equal((await jane.send('GET', `/v2/team/image/blobs/${digest}`)).status, 200, 'caches have seen it')
  t.equal(await remove('team/image', descriptor.digest), 202)
  const [entry, ...others] = await listTrash()
  t.same(others, [])
  t.match(entry, {
    kind: 'manifest',
    repository: 'team/image',
    digest: descriptor.digest,
    tags: ['one', 'two'],
  })
  const kept = digestOf(shared[1])
  const blobs = blobsOf(image).filter((digest) => digest !== kept)
  const manifests = ['one', descriptor.digest, digestOf(image.bytes, 'sha512')]
  await checkUnreadable(t, { repository: 'team/image', id: entry?.id ?? '' }, { manifests, blobs })
  await checkReadable(t, 'team/image', other)
  await checkReadable(t, 'team/image', signature)
  t.equal(await remove('team/image', signature.descriptor.digest), 202)

  const restored = await restore(entry?.id ?? '')
  t.match(
    [restored.status, restored.json],
    [200, { repository: 'team/image', manifests: 2, tags: ['one', 'two'], taken: [], missing: [] }],
  )
  await checkReadable(t, 'team/image', image)
  await checkReadable(t, 'team/image', signature)
  for (const tag of ['one', 'two']) {
    const got = await jane.send('GET', `/v2/team/image/manifests/${tag}`)
    t.strictSame([got.status, got.body.equals(image.bytes)], [200, true], tag)
  }
  const referrers = await jane.send('GET', `/v2/team/image/referrers/${descriptor.digest}`)
  t.equal(referrers.json.manifests.length, 1)
  const [ofSignature, ...more] = await listTrash()
  t.same(
    [ofSignature?.digest, more],
    [signature.descriptor.digest, []],
    'the signature has an entry of its own',
  )
  t.equal((await admin.send('DELETE', `/namespaces/team/trash/${ofSignature?.id}`)).status, 204)
  await checkReadable(t, 'team/image', signature)
})

t.test('sha512 content comes back under its sha512 digests', async (t) => {
  const image = makeImage({ algorithm: 'sha512' })
  const index = makeIndex([image, makeImage({ algorithm: 'sha512' })], { algorithm: 'sha512' })
  await jane.push('team/wide', index, 'multi')
  t.equal(await remove('team/wide', index.descriptor.digest), 202)
  for (const child of index.children) t.equal(await remove('team/wide', child.descriptor.digest), 202)
  const entries = await listTrash()
  t.equal(entries.length, 3)
  const entry = entries.find(({ tags }) => tags.includes('multi'))
  const manifests = ['multi', index.descriptor.digest, ...index.children.map((one) => one.descriptor.digest)]
  await checkUnreadable(
    t,
    { repository: 'team/wide', id: entry?.id ?? '' },
    { manifests, blobs: blobsOf(index) },
  )
  const restored = await restore(entry?.id ?? '')
  t.match([restored.status, restored.json], [200, { manifests: 3, tags: ['multi'] }])
  t.same(restored.json.missing, [])
  await checkReadable(t, 'team/wide', index)
  for (const { id } of await listTrash())
    t.equal((await admin.send('DELETE', `/namespaces/team/trash/${id}`)).status, 204)
  await checkReadable(t, 'team/wide', index)
})

t.test('a deleted repository is unreadable for its next owner, and comes back', async (t) => {
  const images = [makeImage(), makeImage(), makeIndex([makeImage(), makeImage({ algorithm: 'sha512' })])]
  for (const [at, image] of images.entries()) await jane.push('team/whole', image, `v${at}`)
  t.equal((await jane.send('DELETE', `${API}/team/whole`)).status, 200)
  const [entry, ...others] = await listTrash()
  t.same(others, [])
  t.match(entry, { kind: 'repository', repository: 'team/whole', digest: null, tags: ['v0', 'v1', 'v2'] })
  const content = {
    manifests: ['v0', ...images.flatMap(manifestsOf).map(([digest]) => digest)],
    blobs: images.flatMap(blobsOf),
  }
  await checkUnreadable(t, { repository: 'team/whole', id: entry?.id ?? '' }, content)
  const mine = makeImage()
  await next.push('team/whole', mine, 'v0')
  await checkUnreadable(
    t,
    { repository: 'team/whole', id: entry?.id ?? '' },
    { ...content, manifests: content.manifests.slice(1) },
  )
  const restored = await restore(entry?.id ?? '')
  t.match(
    [restored.status, restored.json],
    [200, { manifests: 5, tags: ['v1', 'v2'], taken: [{ tag: 'v0', names: mine.descriptor.digest }] }],
  )
  t.same(restored.json.missing, [])
  for (const image of images) await checkReadable(t, 'team/whole', image)
  t.ok((await jane.send('GET', '/v2/team/whole/manifests/v0')).body.equals(mine.bytes))
})

t.test('a repository without a slash is restored by cluster administrators', async (t) => {
  const image = makeImage()
  await admin.push('plain', image, 'v1')
  t.equal((await admin.send('DELETE', `${API}/plain`)).status, 200)
  const entry = (await listTrash('*')).find(({ repository }) => repository === 'plain')
  for (const client of [jane, next]) t.equal((await client.send('GET', '/namespaces/*/trash')).status, 403)
  t.equal((await restore(entry?.id ?? '', 'team')).status, 404, 'it belongs to no namespace')
  t.match(await restore(entry?.id ?? '', '*'), { status: 200, json: { repository: 'plain', tags: ['v1'] } })
  t.ok((await admin.send('GET', '/v2/plain/manifests/v1')).body.equals(image.bytes))
})

t.test('a purged entry of the trash cannot be restored', async (t) => {
  const image = makeImage()
  await jane.push('team/purged', image, 'v1')
  t.equal(await remove('team/purged', image.descriptor.digest), 202)
  const entry = (await listTrash()).find(({ repository }) => repository === 'team/purged')
  const path = `/namespaces/team/trash/${entry?.id}`
  t.equal((await jane.send('DELETE', path)).status, 403, 'jane does not manage the namespace')
  t.equal((await admin.send('DELETE', path)).status, 204)
  for (const method of ['DELETE', 'POST'])
    t.equal((await admin.send(method, method === 'POST' ? `${path}/restore` : path)).status, 404)
  await checkUnreadable(
    t,
    { repository: 'team/purged', id: entry?.id ?? '' },
    { manifests: ['v1', image.descriptor.digest], blobs: blobsOf(image) },
  )
  const events = await admin.send('GET', '/audit?action=trash.purge')
  t.match(events.json.events?.[0] ?? events.json.items?.[0], {
    action: 'trash.purge',
    target: { digest: image.descriptor.digest },
  })
})

t.test('an entry of the trash expires by itself', async (t) => {
  const short = await startSystem(t, { env: { TRASH_DAYS: '0.00002' } })
  const client = createRegistryClient(short.url, basic(short.admin))
  const image = makeImage()
  await client.push('team/short', image, 'v1')
  t.equal((await client.send('DELETE', `/v2/team/short/manifests/${image.descriptor.digest}`)).status, 202)
  const list = async () => (await client.send('GET', '/namespaces/team/trash')).json.items.length
  for (const deadline = Date.now() + 90_000; (await list()) > 0;) {
    if (Date.now() > deadline) throw new Error('the entry has not expired within 90 seconds')
    await sleep(1000)
  }
  t.equal((await client.send('HEAD', `/v2/team/short/manifests/v1`)).status, 404)
})
