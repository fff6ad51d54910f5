import { randomBytes } from 'node:crypto'
import t from 'tap'
import { BLOB_MOUNTS, BLOB_PUSHES, wrongDigestOf } from './harness/blob-pushes.ts'
import { EMPTY, digestOf, makeImage } from './harness/manifests.ts'
import { createRegistryClient, locationOf } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * Blobs and manifests by sha512, the other registered algorithm (OCI image-spec 1.1, descriptor.md). The registry
 * stores by sha256. OCI distribution-spec 1.1, "Pushing blobs", "Pushing Manifests", "Pull", "Content Management".
 */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))

t.test('Pushing blobs: every way of pushing accepts a sha512 digest', async (t) => {
  for (const [way, push] of Object.entries({ ...BLOB_PUSHES, ...BLOB_MOUNTS })) {
    const blobs = { random: randomBytes(3067), 'the empty JSON object': EMPTY[1], empty: Buffer.alloc(0) }
    for (const [what, blob] of Object.entries(blobs)) {
      const repository = `team/${way.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`
      const digest = digestOf(blob, 'sha512')
      const response = await push(client, repository, blob, digest)
      t.match(response, { status: 201, headers: { 'docker-content-digest': digest } }, `${way}, ${what}`)
      t.match(
        locationOf(response),
        new RegExp(`/${digest}$`),
        `${way}, ${what}: the Location has the sha512 digest`,
      )
      t.ok(
        (await client.send('GET', locationOf(response))).body.equals(blob),
        `${way}, ${what}: the Location can be pulled`,
      )
      for (const method of ['GET', 'HEAD']) {
        const pulled = await client.send(method, `/v2/${repository}/blobs/${digest}`)
        const headers = { 'docker-content-digest': digest, 'content-length': String(blob.length) }
        t.match(pulled, { status: 200, headers }, `${way}, ${what}: ${method}`)
        if (method === 'GET') t.ok(pulled.body.equals(blob))
      }
    }
  }
})

t.test('Pushing blobs: a wrong sha512 digest is 400, and no blob is stored', async (t) => {
  for (const [way, push] of Object.entries(BLOB_PUSHES)) {
    const blob = randomBytes(3067)
    const digest = wrongDigestOf(blob, 'sha512')
    t.match(await push(client, 'team/wrong', blob, digest), { status: 400, code: 'DIGEST_INVALID' }, way)
    for (const named of [digest, digestOf(blob, 'sha512'), digestOf(blob)]) {
      t.equal((await client.send('HEAD', `/v2/team/wrong/blobs/${named}`)).status, 404, way)
    }
  }
})

t.test('Pulling blobs: a sha512 digest supports Range, and an unknown one is 404', async (t) => {
  const blob = randomBytes(2048)
  const digest = await client.pushBlob('team/blob', blob, 'sha512')
  const part = await client.send('GET', `/v2/team/blob/blobs/${digest}`, {
    headers: { range: 'bytes=500-1499' },
  })
  t.equal(part.status, 206)
  t.ok(part.body.equals(blob.subarray(500, 1500)))
  for (const [name, unknown] of [
    ['blob', digestOf('nobody pushed this', 'sha512')],
    ['another', digest],
    ['absent', digest],
  ]) {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      t.equal(
        (await client.send(method, `/v2/team/${name}/blobs/${unknown}`)).status,
        404,
        `${method} in ${name}`,
      )
    }
  }
})

t.test('Deleting Blobs: a blob deleted by one digest is gone under both', async (t) => {
  for (const deleted of ['sha512', 'sha256'] as const) {
    const blob = randomBytes(64)
    const names = [digestOf(blob), digestOf(blob, 'sha512')]
    await client.pushBlob('team/deleted', blob, 'sha512')
    for (const name of names) {
      const pulled = await client.send('GET', `/v2/team/deleted/blobs/${name}`)
      t.match(
        pulled,
        { status: 200, headers: { 'docker-content-digest': name } },
        `the blob exists as ${name}`,
      )
    }
    const path = `/v2/team/deleted/blobs/${digestOf(blob, deleted)}`
    t.equal((await client.send('DELETE', path)).status, 202, `the deletion by ${deleted} is accepted`)
    for (const name of names) {
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        t.equal(
          (await client.send(method, `/v2/team/deleted/blobs/${name}`)).status,
          404,
          `${method} ${name}`,
        )
      }
    }
    await client.pushBlob('team/deleted', blob, 'sha512')
    t.equal((await client.send('GET', path)).status, 200, 'the blob can be pushed again')
  }
})

const images = {
  'an image of sha512 contents': makeImage({ algorithm: 'sha512' }),
  'an artifact of sha512 contents': makeImage({
    algorithm: 'sha512',
    config: EMPTY,
    layers: [['text/plain', randomBytes(64)]],
    fields: { artifactType: 'application/vnd.example.artifact' },
  }),
}

t.test('Pushing Manifests: a manifest is pushed, pulled and deleted by its sha512 digest', async (t) => {
  for (const [number, [what, made]] of Object.entries(images).entries()) {
    const repository = `team/manifest-${number}`
    const { digest, mediaType } = made.descriptor
    const path = `/v2/${repository}/manifests/${digest}`
    await client.pushContents(repository, made)
    t.equal((await client.send('GET', path)).status, 404, `${what}: the digest is 404 before the push`)

    const put = await client.putManifest(repository, digest, made)
    t.match(put, { status: 201, headers: { 'docker-content-digest': digest } }, what)
    t.match(locationOf(put), new RegExp(`/${digest}$`), `${what}: the Location has the sha512 digest`)
    t.ok((await client.send('GET', locationOf(put))).body.equals(made.bytes))
    for (const method of ['GET', 'HEAD']) {
      const response = await client.send(method, path)
      const length = String(made.bytes.length)
      const headers = { 'content-type': mediaType, 'content-length': length, 'docker-content-digest': digest }
      t.match(response, { status: 200, headers }, `${what}: ${method}`)
      if (method === 'GET') t.ok(response.body.equals(made.bytes), `${what}: byte for byte`)
    }
    t.equal(
      (await client.putManifest(repository, 'tag', made)).status,
      201,
      `${what}: the manifest can be tagged`,
    )
    t.ok((await client.send('GET', `/v2/${repository}/manifests/tag`)).body.equals(made.bytes))

    t.equal((await client.send('DELETE', path)).status, 202)
    for (const reference of [digest, digestOf(made.bytes), 'tag']) {
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        const { status } = await client.send(method, `/v2/${repository}/manifests/${reference}`)
        t.equal(status, 404, `${what}: ${method} ${reference}`)
      }
    }
  }
})

t.test('Pulling manifests: a manifest pushed by sha256 or by a tag is also found by sha512', async (t) => {
  const image = makeImage()
  await client.push('team/both', image, 'tag')
  const digest = digestOf(image.bytes, 'sha512')
  const pulled = await client.send('GET', `/v2/team/both/manifests/${digest}`)
  t.match(pulled, { status: 200, headers: { 'docker-content-digest': digest } })
  t.ok(pulled.body.equals(image.bytes))
  t.equal((await client.send('DELETE', `/v2/team/both/manifests/${image.descriptor.digest}`)).status, 202)
  t.equal(
    (await client.send('GET', `/v2/team/both/manifests/${digest}`)).status,
    404,
    'the sha512 digest is 404 after the deletion',
  )
})

t.test('Pushing Manifests: an invalid push by sha512 is refused', async (t) => {
  const image = makeImage({ algorithm: 'sha512' })
  await client.pushContents('team/bad', image)
  const wrong = wrongDigestOf(image.bytes, 'sha512')
  t.match(await client.putManifest('team/bad', wrong, image), {
    status: 400,
    code: /^(DIGEST|MANIFEST)_INVALID$/,
  })
  t.equal((await client.send('GET', `/v2/team/bad/manifests/${wrong}`)).status, 404)
  t.equal((await client.send('GET', `/v2/team/bad/manifests/${image.descriptor.digest}`)).status, 404)
  const missing = makeImage({ algorithm: 'sha512' })
  t.match(await client.putManifest('team/bad', missing.descriptor.digest, missing), {
    status: /^40[04]$/,
    code: 'MANIFEST_BLOB_UNKNOWN',
  })
  t.match(await client.send('GET', `/v2/team/bad/manifests/${missing.descriptor.digest}`), {
    status: 404,
    code: 'MANIFEST_UNKNOWN',
  })
  t.equal((await client.send('GET', '/v2/team/bad/tags/list')).status, 404, 'no tag was created')
})
