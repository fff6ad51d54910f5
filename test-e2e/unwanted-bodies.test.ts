import { connect } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { digestOf } from './harness/manifests.ts'
import { basic, startSystem } from './harness/system.ts'

const MIB = 1 << 20
const SIZE = 24 * MIB
const system = await startSystem(t)
const authorization = basic(await system.createUser('jane', ['team']))
const part = Buffer.alloc(MIB, 'layer ')

/** Sends a head and all of a large body before it reads the response, as simple clients do. */
async function send(head: string) {
  const { hostname, port } = new URL(system.plainUrl)
  const socket = connect(Number(port), hostname)
  let received = ''
  let failure: string | undefined
  socket.on('error', (error: NodeJS.ErrnoException) => (failure = error.code))
  await once(socket, 'connect')
  const ended = once(socket, 'close')
  socket.write(
    Buffer.from(
      `${head}\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: ${SIZE}\r\n\r\n`,
      'latin1',
    ),
  )
  for (let sent = 0; sent < SIZE && !socket.destroyed; sent += part.length) {
    if (socket.write(part)) continue
    const outcome = await Promise.race([once(socket, 'drain'), ended, sleep(20_000, 'stuck')])
    if (outcome === 'stuck') throw new Error(`the server took no more than ${sent} bytes in 20 s`)
  }
  socket.on('data', (chunk) => (received += chunk.toString('latin1')))
  const deadline = Date.now() + 20_000
  while (!received.includes('\r\n\r\n') && !socket.destroyed && Date.now() < deadline) await sleep(20)
  socket.destroy()
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(received)?.[1]), received, failure }
}

t.test('a POST with a digest and a large body gets 202', async (t) => {
  const digest = digestOf(Buffer.alloc(SIZE, 'layer '))
  const { status, received, failure } = await send(
    `POST /v2/team/app/blobs/uploads/?digest=${digest} HTTP/1.1`,
  )
  t.equal(failure, undefined)
  t.equal(status, 202, received)
  t.match(received, /^location: \/v2\/team\/app\/blobs\/uploads\//im)
})

t.test('a request path with bytes beyond ASCII and a large body is 400', async (t) => {
  for (const target of ['/v2/te\xe4m/app/blobs/uploads/', '/v2/team/app/manifests/\xc3\xa4', '/users\xff']) {
    const { status, received, failure } = await send(`PUT ${target} HTTP/1.1`)
    t.equal(failure, undefined, target)
    // nginx refuses such a body for other APIs, whatever the path is.
    if (target.startsWith('/v2/')) t.equal(status, 400, received)
    else t.ok([400, 413].includes(status), received)
    if (target.startsWith('/v2/')) t.match(received, /"errors":/)
  }
})
