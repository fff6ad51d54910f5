import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { bindUpload } from '../src/upload-binding.ts'
import { UPLOAD_SECRET, startProxy } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const MIB = 1 << 20
const CHUNK = Buffer.alloc(MIB / 4, 'x')
const CHUNKS = 512
const TOTAL = CHUNKS * CHUNK.length
/** More than the kernel buffers for two connections, and far less than the test offers. */
const BOUND = 48 * MIB

interface Writer {
  write(chunk: Buffer): boolean
  once(event: 'drain', listener: () => void): unknown
}

/** Writes until everything is written or nothing has moved for a while. Returns the number of bytes that were taken. */
async function writeUntilStuck(writer: Writer): Promise<number> {
  for (let written = 0; written < CHUNKS; written += 1) {
    if (writer.write(CHUNK)) continue
    const drained = new Promise<true>((resolve) => writer.once('drain', () => resolve(true)))
    const moved = await Promise.race([drained, sleep(400, false)])
    if (!moved) return (written + 1) * CHUNK.length
  }
  return TOTAL
}

async function countBytes(stream: AsyncIterable<Buffer>): Promise<number> {
  let count = 0
  for await (const chunk of stream) count += chunk.length
  return count
}

t.test('a registry that stops reading stops the client', async (t) => {
  const { port, upstream, bearer } = await startProxy(t)
  const binding = bindUpload(UPLOAD_SECRET, { repository: 'team/app', id: 'u1', uid: 'uid-alice' })
  const { promise: mayRead, resolve: letRead } = Promise.withResolvers<void>()
  let received = 0
  upstream.respond = async (incoming, response) => {
    incoming.pause()
    await mayRead
    received = await countBytes(incoming)
    response.end()
  }
  const upload = request({
    host: '127.0.0.1',
    port,
    method: 'PATCH',
    path: `/v2/team/app/blobs/uploads/u1?_binding=${binding}`,
    headers: { authorization: bearer([repositoryAccess('team/app', 'pull', 'push')]) },
  })
  const taken = await writeUntilStuck(upload)
  t.ok(taken < BOUND, `${taken / MIB} MiB were taken of ${TOTAL / MIB}`)

  letRead()
  upload.end()
  const [response] = (await once(upload, 'response')) as [IncomingMessage]
  t.equal(response.statusCode, 200)
  t.equal(received, taken, 'no byte is lost')
  response.resume()
})

t.test('a client that stops reading stops the registry', async (t) => {
  const { port, upstream, bearer } = await startProxy(t)
  const { promise: taken, resolve: noteTaken } = Promise.withResolvers<number>()
  upstream.respond = async (_incoming, response) => {
    const written = await writeUntilStuck(response)
    noteTaken(written)
    response.end()
  }
  const download = request({
    host: '127.0.0.1',
    port,
    path: `/v2/team/app/blobs/${DIGEST}`,
    headers: { authorization: bearer([repositoryAccess('team/app', 'pull')]) },
  })
  download.end()
  const [response] = (await once(download, 'response')) as [IncomingMessage]
  response.pause()
  const written = await taken
  t.ok(written < BOUND, `${written / MIB} MiB were taken of ${TOTAL / MIB}`)
  t.equal(await countBytes(response), written, 'no byte is lost')
})
