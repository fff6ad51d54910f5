import { randomBytes } from 'node:crypto'
import t from 'tap'
import { digestOf } from './harness/manifests.ts'
import { createRegistryClient, locationOf } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * OCI distribution-spec 1.1, "Pushing a blob in chunks": chunks come in order. A chunk out of order gets 416, and the
 * upload continues at its current offset.
 */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
const REPOSITORY = 'team/chunks'

const blob = randomBytes(3072)
const chunkOf = (start: number, end: number) => blob.subarray(start, end + 1)

/** Begins an upload. Sends the first 1024 bytes if `sent` is true. */
async function begin(sent: boolean): Promise<string> {
  const location = await client.beginUpload(REPOSITORY)
  return sent ? locationOf(await client.sendChunk(location, chunkOf(0, 1023), '0-1023')) : location
}

/** Sends the rest of the blob from the upload's current offset, and closes the upload. */
async function finishUpload(location: string) {
  const status = await client.send('GET', location)
  const [, end = ''] = /^0-(\d+)$/.exec(status.headers['range'] ?? '') ?? []
  const start = end === '0' ? 0 : Number(end) + 1
  const sent = await client.sendChunk(
    locationOf(status),
    chunkOf(start, blob.length - 1),
    `${start}-${blob.length - 1}`,
  )
  const closed = await client.closeUpload(locationOf(sent), digestOf(blob))
  return { statuses: [status.status, sent.status, closed.status], end, location: closed.headers['location'] }
}

const outOfOrder = [
  ['a first chunk with a gap before it', false, 1024, 2047],
  ['a chunk with a gap before it', true, 2048, 3071],
  ['a repeated chunk', true, 0, 1023],
  ['a chunk that overlaps the one before', true, 512, 1535],
] as const

const malformed = [
  'a-b',
  '1024',
  '1024-',
  '-2047',
  '2047-1024',
  '0x400-0x7ff',
  '1024-2047-3071',
  '+1024-2047',
]

t.test('Pushing a blob in chunks: an upload continues after a chunk out of order (416)', async (t) => {
  for (const [what, sent, start, end] of outOfOrder) {
    for (const method of ['PATCH', 'PUT']) {
      const location = await begin(sent)
      const chunk = chunkOf(start, end)
      const range = `${start}-${end}`
      const response =
        method === 'PATCH'
          ? await client.sendChunk(location, chunk, range)
          : await client.closeUpload(location, digestOf(blob), chunk, range)
      t.equal(response.status, 416, `${method} of ${what} is refused`)
      const finished = await finishUpload(response.headers['location'] ?? location)
      t.strictSame(finished.statuses, [204, 202, 201], `${method} of ${what}: the upload continues`)
      t.equal(finished.end, sent ? '1023' : '0', `${method} of ${what}: no byte was stored`)
      t.ok(
        (await client.send('GET', finished.location ?? '')).body.equals(blob),
        'the blob has the bytes that were pushed',
      )
    }
  }
})

t.test('Pushing a blob in chunks: an upload continues after a malformed Content-Range (416)', async (t) => {
  for (const range of malformed) {
    for (const method of ['PATCH', 'PUT']) {
      const location = await begin(true)
      const chunk = chunkOf(1024, 2047)
      const response =
        method === 'PATCH'
          ? await client.sendChunk(location, chunk, range)
          : await client.closeUpload(location, digestOf(blob), chunk, range)
      t.equal(response.status, 416, `${method} with ${range} is refused`)
      const finished = await finishUpload(location)
      t.strictSame(finished.statuses, [204, 202, 201], `${method} with ${range}: the upload continues`)
      t.equal(finished.end, '1023', `${method} with ${range}: no byte was stored`)
    }
  }
})

t.test('Pushing a blob in chunks: a Content-Range of another length than its chunk is refused', async (t) => {
  for (const range of ['1024-1535', '1024-3071']) {
    const location = await begin(true)
    const response = await client.sendChunk(location, chunkOf(1024, 2047), range)
    t.ok([400, 416].includes(response.status), `${range}: ${response.status}`)
    const finished = await finishUpload(location)
    t.strictSame(finished.statuses, [204, 202, 201], `${range}: the upload continues`)
    t.equal(finished.end, '1023', `${range}: no byte was stored`)
  }
})

t.test(
  'Pushing a blob in chunks: before each chunk, one out of order is refused and changes nothing',
  async (t) => {
    for (const lastCloses of [false, true]) {
      let location = await client.beginUpload(REPOSITORY)
      for (let start = 0; start < blob.length; start += 1024) {
        const bad = start + 1024 < blob.length ? start + 1024 : 0
        const refused = await client.sendChunk(location, chunkOf(bad, bad + 1023), `${bad}-${bad + 1023}`)
        t.equal(refused.status, 416)
        location = locationOf(await client.send('GET', location))
        const [chunk, range] = [chunkOf(start, start + 1023), `${start}-${start + 1023}`]
        if (lastCloses && start + 1024 === blob.length) {
          t.equal((await client.closeUpload(location, digestOf(blob), chunk, range)).status, 201)
        } else {
          const sent = await client.sendChunk(location, chunk, range)
          t.match(sent, { status: 202, headers: { range: `0-${start + 1023}` } })
          location = locationOf(sent)
        }
      }
      if (!lastCloses) t.equal((await client.closeUpload(location, digestOf(blob))).status, 201)
    }
  },
)

/** Enough uploads that chance does not send all requests of each to the replica that saw its last response. */
const UPLOADS = 4

t.test('Pushing a blob in chunks: an upload continues after a lost response', async (t) => {
  for (const method of Array.from({ length: UPLOADS }, () => ['GET', 'HEAD']).flat()) {
    const location = await begin(false)
    await client.sendChunk(location, chunkOf(0, 1023), '0-1023')
    const { status, headers } = await client.send(method, location)
    t.match({ status, headers }, { status: 204, headers: { range: '0-1023' } }, method)
    t.match(
      await finishUpload(location),
      { statuses: [204, 202, 201], end: '1023' },
      `the upload continues after ${method}`,
    )
  }
})

t.test('Pushing a blob in chunks: a chunk at an outdated Location is checked', async (t) => {
  const location = await begin(false)
  await client.sendChunk(location, chunkOf(0, 1023), '0-1023')
  t.equal(
    (await client.sendChunk(location, chunkOf(0, 1023), '0-1023')).status,
    416,
    'a repeated chunk is refused',
  )
  const streamed = await client.sendChunk(location, chunkOf(0, 1023))
  t.match(
    streamed,
    { status: 416, code: 'BLOB_UPLOAD_INVALID', headers: { range: '0-1023' } },
    'a chunk without Content-Range is refused',
  )
  const closed = await client.closeUpload(location, digestOf(chunkOf(0, 1023)))
  t.equal(closed.status, 416, 'a closing request is refused')
  t.equal(
    (await client.sendChunk(location, chunkOf(1024, 2047), '1024-2047')).status,
    202,
    'the next chunk is accepted',
  )
  t.match(await finishUpload(location), { statuses: [204, 202, 201], end: '2047' })
})
