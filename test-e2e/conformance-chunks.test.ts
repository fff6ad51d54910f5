import { randomBytes } from 'node:crypto'
import t from 'tap'
import { digestOf } from './harness/manifests.ts'
import { createRegistryClient, locationOf } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * OCI distribution-spec 1.1, "Pushing a blob in chunks": chunks come in order, what is out of order is 416, and
 * the upload goes on from where it says that it is.
 */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
const REPOSITORY = 'team/chunks'

const blob = randomBytes(3072)
const chunkOf = (start: number, end: number) => blob.subarray(start, end + 1)

/** Begins an upload, and sends the first 1024 bytes where `sent` says so. */
async function begin(sent: boolean): Promise<string> {
  const location = await client.beginUpload(REPOSITORY)
  return sent ? locationOf(await client.sendChunk(location, chunkOf(0, 1023), '0-1023')) : location
}

/** Sends the rest of the blob from where the upload says that it is, and closes it. */
async function goOn(location: string) {
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
  ['a first chunk that leaves something out', false, 1024, 2047],
  ['a chunk that leaves something out', true, 2048, 3071],
  ['a chunk once more', true, 0, 1023],
  ['a chunk that begins inside another', true, 512, 1535],
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

t.test('a chunk out of order is 416, and the upload goes on', async (t) => {
  for (const [what, sent, start, end] of outOfOrder) {
    for (const method of ['PATCH', 'PUT']) {
      const location = await begin(sent)
      const chunk = chunkOf(start, end)
      const range = `${start}-${end}`
      const answer =
        method === 'PATCH'
          ? await client.sendChunk(location, chunk, range)
          : await client.closeUpload(location, digestOf(blob), chunk, range)
      t.equal(answer.status, 416, `${method} of ${what}`)
      const gone = await goOn(answer.headers['location'] ?? location)
      t.strictSame(gone.statuses, [204, 202, 201], `${method} of ${what}: it goes on`)
      t.equal(gone.end, sent ? '1023' : '0', `${method} of ${what}: nothing was taken`)
      t.ok((await client.send('GET', gone.location ?? '')).body.equals(blob), 'as it was pushed')
    }
  }
})

t.test('a malformed Content-Range is 416, and the upload goes on', async (t) => {
  for (const range of malformed) {
    for (const method of ['PATCH', 'PUT']) {
      const location = await begin(true)
      const chunk = chunkOf(1024, 2047)
      const answer =
        method === 'PATCH'
          ? await client.sendChunk(location, chunk, range)
          : await client.closeUpload(location, digestOf(blob), chunk, range)
      t.equal(answer.status, 416, `${method} with ${range}`)
      const gone = await goOn(location)
      t.strictSame(gone.statuses, [204, 202, 201], `${method} with ${range}: it goes on`)
      t.equal(gone.end, '1023', `${method} with ${range}: nothing was taken`)
    }
  }
})

t.test('a Content-Range that is not as long as its chunk is refused, and the upload goes on', async (t) => {
  for (const range of ['1024-1535', '1024-3071']) {
    const location = await begin(true)
    const answer = await client.sendChunk(location, chunkOf(1024, 2047), range)
    t.ok([400, 416].includes(answer.status), `${range}: ${answer.status}`)
    const gone = await goOn(location)
    t.strictSame(gone.statuses, [204, 202, 201], `${range}: it goes on`)
    t.equal(gone.end, '1023', `${range}: nothing was taken`)
  }
})

t.test('the suite’s way: every chunk first out of order, then in order', async (t) => {
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
})

/** So many uploads that chance does not send all requests of each to the replica that saw its last response. */
const UPLOADS = 4

t.test('an upload whose last answer was lost goes on from the Location that the client has', async (t) => {
  for (const method of Array.from({ length: UPLOADS }, () => ['GET', 'HEAD']).flat()) {
    const location = await begin(false)
    await client.sendChunk(location, chunkOf(0, 1023), '0-1023')
    const { status, headers } = await client.send(method, location)
    t.match({ status, headers }, { status: 204, headers: { range: '0-1023' } }, method)
    t.match(await goOn(location), { statuses: [204, 202, 201], end: '1023' }, `${method}, and from there`)
  }
})

t.test(
  'a chunk for an upload that is further than its client knows is verified by where it belongs',
  async (t) => {
    const location = await begin(false)
    await client.sendChunk(location, chunkOf(0, 1023), '0-1023')
    t.equal((await client.sendChunk(location, chunkOf(0, 1023), '0-1023')).status, 416, 'the same once more')
    const streamed = await client.sendChunk(location, chunkOf(0, 1023))
    t.match(
      streamed,
      { status: 416, code: 'BLOB_UPLOAD_INVALID', headers: { range: '0-1023' } },
      'it does not say',
    )
    const closed = await client.closeUpload(location, digestOf(chunkOf(0, 1023)))
    t.equal(closed.status, 416, 'closing it')
    t.equal((await client.sendChunk(location, chunkOf(1024, 2047), '1024-2047')).status, 202, 'the next')
    t.match(await goOn(location), { statuses: [204, 202, 201], end: '2047' })
  },
)
