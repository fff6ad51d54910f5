import { randomBytes } from 'node:crypto'
import t from 'tap'
import { digestOf, makeImage, makeIndex } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/* OCI distribution-spec 1.1, "Content Management". */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))

const statusOf = async (method: string, path: string) =>
  (await client.send(method, `/v2/team/${path}`)).status
const tagsOf = async (name: string) => (await client.send('GET', `/v2/team/${name}/tags/list`)).json?.tags

t.test('Deleting tags: a deleted tag leaves all other tags and manifests', async (t) => {
  const image = makeImage()
  const index = makeIndex([image])
  await client.push('team/tags', index, 'index')
  for (const tag of ['a', 'b', 'c']) await client.putManifest('team/tags', tag, image)

  t.equal(await statusOf('DELETE', 'tags/manifests/b'), 202)
  t.equal(await statusOf('GET', 'tags/manifests/b'), 404)
  t.equal(await statusOf('HEAD', 'tags/manifests/b'), 404)
  t.equal(await statusOf('DELETE', 'tags/manifests/b'), 404, 'a repeated deletion is 404')
  t.strictSame(await tagsOf('tags'), ['a', 'c', 'index'])
  t.equal(await statusOf('DELETE', 'tags/manifests/index'), 202)
  t.strictSame(await tagsOf('tags'), ['a', 'c'])
  for (const [reference, bytes] of [
    ['a', image.bytes],
    ['c', image.bytes],
    [image.descriptor.digest, image.bytes],
    [index.descriptor.digest, index.bytes],
  ] as const) {
    t.ok(
      (await client.send('GET', `/v2/team/tags/manifests/${reference}`)).body.equals(bytes),
      `${reference} still exists`,
    )
  }
  for (const tag of ['a', 'c']) t.equal(await statusOf('DELETE', `tags/manifests/${tag}`), 202)
  t.strictSame(await tagsOf('tags'), [], 'the manifests remain after the last tag is deleted')
  t.equal(await statusOf('GET', `tags/manifests/${image.descriptor.digest}`), 200)

  t.equal((await client.putManifest('team/tags', 'b', image)).status, 201, 'the tag can be pushed again')
  t.ok((await client.send('GET', '/v2/team/tags/manifests/b')).body.equals(image.bytes))
  t.strictSame(await tagsOf('tags'), ['b'])
})

t.test('Deleting tags: concurrent deletions of many tags succeed', async (t) => {
  const image = makeImage()
  const tags = [...Array(12).keys()].map((number) => `tag-${String(number).padStart(2, '0')}`)
  await client.push('team/many', image, 'stays')
  for (const tag of tags) await client.putManifest('team/many', tag, image)
  const statuses = await Promise.all(tags.map((tag) => statusOf('DELETE', `many/manifests/${tag}`)))
  t.strictSame(new Set(statuses), new Set([202]))
  t.strictSame(await tagsOf('many'), ['stays'])
  t.ok((await client.send('GET', '/v2/team/many/manifests/stays')).body.equals(image.bytes))
})

t.test('Deleting Manifests: a deleted manifest is gone with all its tags', async (t) => {
  const [image, other] = [makeImage(), makeImage()]
  const { digest } = image.descriptor
  await client.push('team/manifests', image, 'a')
  await client.putManifest('team/manifests', 'b', image)
  await client.push('team/manifests', other, 'c')

  t.equal(await statusOf('DELETE', `manifests/manifests/${digest}`), 202)
  for (const reference of [digest, 'a', 'b']) {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      t.equal(await statusOf(method, `manifests/manifests/${reference}`), 404, `${method} ${reference}`)
    }
  }
  t.strictSame(await tagsOf('manifests'), ['c'])
  t.ok((await client.send('GET', '/v2/team/manifests/manifests/c')).body.equals(other.bytes))

  await client.push('team/manifests', image, 'a')
  t.ok(
    (await client.send('GET', '/v2/team/manifests/manifests/a')).body.equals(image.bytes),
    'the manifest can be pushed again',
  )
})

t.test('Deleting Manifests: a deleted image index leaves its images', async (t) => {
  const image = makeImage()
  const index = makeIndex([image, makeImage()])
  await client.push('team/index', index, 'index')
  t.equal(await statusOf('DELETE', `index/manifests/${index.descriptor.digest}`), 202)
  for (const { descriptor } of index.children) {
    t.equal(await statusOf('GET', `index/manifests/${descriptor.digest}`), 200)
  }
})

t.test('Deleting Blobs: a blob is deleted in one repository only and can be pushed again', async (t) => {
  const blob = randomBytes(64)
  const digest = await client.pushBlob('team/blobs', blob)
  await client.pushBlob('team/blobs-too', blob)
  t.equal(await statusOf('DELETE', `blobs/blobs/${digest}`), 202)
  for (const method of ['GET', 'HEAD', 'DELETE'])
    t.equal(await statusOf(method, `blobs/blobs/${digest}`), 404, method)
  t.equal(await statusOf('GET', `blobs-too/blobs/${digest}`), 200, 'the other repository still has the blob')
  await client.pushBlob('team/blobs', blob)
  t.equal(await statusOf('GET', `blobs/blobs/${digest}`), 200, 'the blob can be pushed again')
})

t.test('Content Management: the deletion of unknown content is 404', async (t) => {
  await client.push('team/there', makeImage(), 'v1')
  const unknown = digestOf('nobody pushed this')
  for (const name of ['there', 'absent']) {
    for (const path of ['manifests/v2', `manifests/${unknown}`, `blobs/${unknown}`]) {
      const response = await client.send('DELETE', `/v2/team/${name}/${path}`)
      t.match(response, { status: 404, code: /^(MANIFEST|BLOB|NAME)_UNKNOWN$/ }, `${name}/${path}`)
    }
  }
})
