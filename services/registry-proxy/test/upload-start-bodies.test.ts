import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { startProxy } from './fixtures/proxy.ts'
import { openRawConnection, statusOf } from './fixtures/raw-connection.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

/*
 * OCI distribution-spec 1.1, "Single POST": a registry that does not support it responds 202, and the client uploads
 * again.
 */

const MIB = 1 << 20
const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const uploads = '/v2/team/app/blobs/uploads/'
upstream.respond = respondWith(202, { location: `${uploads}u1?_state=s`, 'content-length': '0' })

const head = (framing: string) =>
  `POST ${uploads}?digest=${DIGEST} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n${framing}\r\n\r\n`

for (const framing of ['Content-Length: 33554432', 'Transfer-Encoding: chunked']) {
  t.test(`a client that sends 32 MiB with its POST gets 202 and no reset, with ${framing}`, async (t) => {
    const connection = await openRawConnection(port)
    connection.write(head(framing))
    const part = Buffer.alloc(MIB, 'x')
    for (let sent = 0; sent < 32; sent += 1) {
      if (framing.startsWith('T')) connection.write(`${MIB.toString(16)}\r\n`)
      connection.write(part)
      if (framing.startsWith('T')) connection.write('\r\n')
    }
    if (framing.startsWith('T')) connection.write('0\r\n\r\n')
    await connection.drained()
    const received = await connection.closed()
    t.equal(statusOf(received), 202)
    t.match(received, /^location: \/v2\/team\/app\/blobs\/uploads\/u1\?_state=s&_binding=/im)
    t.equal(connection.failed(), undefined, 'the connection was not reset')
    const request = upstream.only()
    upstream.requests.length = 0
    t.equal(request.body.length, 0, 'the registry gets no body')
  })
}

t.test('the connection stays open after a POST with a short body', async (t) => {
  const connection = await openRawConnection(port)
  connection.write(`${head('Content-Length: 5')}hello`)
  await connection.receives('HTTP/1.1 202')
  connection.write('GET /v2/Team HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  const statuses = (await connection.closed()).match(/HTTP\/1\.1 \d+/g)
  t.same(statuses, ['HTTP/1.1 202', 'HTTP/1.1 404'])
})
