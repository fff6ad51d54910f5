import { randomBytes } from 'node:crypto'
import t from 'tap'
import { BLOB_MOUNTS, BLOB_PUSHES, wrongDigestOf } from './harness/blob-pushes.ts'
import { digestOf } from './harness/manifests.ts'
import { createRegistryClient, locationOf } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/* OCI distribution-spec 1.1, "Pushing blobs", "Mounting a blob from another repository". */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))

t.test('Pushing blobs: every way of pushing stores a blob that can be pulled', async (t) => {
  for (const [way, push] of Object.entries({ ...BLOB_PUSHES, ...BLOB_MOUNTS })) {
    const contents = {
      random: randomBytes(3067),
      'the empty JSON object': Buffer.from('{}'),
      empty: Buffer.alloc(0),
    }
    for (const [what, blob] of Object.entries(contents)) {
      const digest = digestOf(blob)
      const response = await push(client, `team/${slugOf(way)}`, blob, digest)
      t.equal(response.status, 201, `${way}, ${what}`)
      t.match(response.headers, { 'docker-content-digest': digest }, `${way}, ${what}`)
      const pulled = await client.send('GET', locationOf(response))
      t.equal(pulled.status, 200, `${way}, ${what}: the Location can be pulled`)
      t.ok(pulled.body.equals(blob), `${way}, ${what}: the blob has the pushed bytes`)
      const headers = { 'content-length': String(blob.length), 'docker-content-digest': digest }
      const head = await client.send('HEAD', `/v2/team/${slugOf(way)}/blobs/${digest}`)
      t.match(head, { status: 200, headers }, `${way}, ${what}: HEAD`)
    }
  }
})

t.test('Pushing blobs: a wrong digest is 400, and no blob is stored', async (t) => {
  for (const [way, push] of Object.entries(BLOB_PUSHES)) {
    const blob = randomBytes(3067)
    const digest = wrongDigestOf(blob)
    t.match(await push(client, 'team/wrong', blob, digest), { status: 400, code: 'DIGEST_INVALID' }, way)
    for (const named of [digest, digestOf(blob)]) {
      t.equal((await client.send('HEAD', `/v2/team/wrong/blobs/${named}`)).status, 404, way)
    }
  }
})

t.test('Pushing blobs: an upload reports its offset (end-13) and can be cancelled', async (t) => {
  let location = await client.beginUpload('team/status')
  const first = await client.send('GET', location)
  t.match(first, { status: 204, headers: { range: '0-0' } })
  location = locationOf(first)

  location = locationOf(await client.sendChunk(location, randomBytes(1024), '0-1023'))
  const second = await client.send('GET', location)
  t.match(second, { status: 204, headers: { range: '0-1023' } })
  location = locationOf(second)
  const streamed = await client.sendChunk(location, randomBytes(1024))
  t.match(streamed, { status: 202, headers: { range: '0-2047' } })
  location = locationOf(streamed)

  t.equal((await client.send('DELETE', location)).status, 204)
  t.match(await client.send('GET', location), { status: 404, code: 'BLOB_UPLOAD_UNKNOWN' })
  t.match(await client.sendChunk(location, randomBytes(8), '2048-2055'), { status: 404 })
  t.match(await client.closeUpload(location, digestOf('')), { status: 404 })
  t.match(await client.send('DELETE', location), { status: 404 })
})

t.test('Mounting a blob from another repository: a third repository does not get the blob', async (t) => {
  const blob = randomBytes(64)
  const digest = await client.pushBlob('team/old', blob)
  const path = `/v2/team/new/blobs/uploads/?mount=${digest}&from=team/old`
  const mounted = await client.send('POST', path)
  t.match(mounted, { status: 201, headers: { 'docker-content-digest': digest } }, 'the mount needs no upload')
  t.ok((await client.send('GET', locationOf(mounted))).body.equals(blob))
  t.equal((await client.send('HEAD', `/v2/team/third/blobs/${digest}`)).status, 404)
})

t.test('Pushing blobs: the same blob may be pushed again, even by two clients at once', async (t) => {
  const blob = randomBytes(64)
  const digests = await Promise.all([1, 2, 3].map(() => client.pushBlob('team/again', blob)))
  digests.push(await client.pushBlob('team/again', blob))
  t.strictSame(new Set(digests), new Set([digestOf(blob)]))
})

function slugOf(way: string): string {
  return way.toLowerCase().replaceAll(/[^a-z]+/g, '-')
}
