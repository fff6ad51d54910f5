import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { basic, startProxy } from './fixtures/proxy.ts'
import { openRawConnection, statusOf } from './fixtures/raw-connection.ts'
import { claims, createSigningKey, signToken } from './fixtures/tokens.ts'

const MIB = 1 << 20
const { port, auth, upstream, bearer } = await startProxy(t)
auth.accounts.set('alice', { password: 'pw', uid: 'uid-alice', gen: 1, access: [] })
const other = bearer([repositoryAccess('other/app', 'pull', 'push')])
const ofUnknownKey = `Bearer ${signToken(createSigningKey('next'), claims([]))}`
const manifest = '/v2/team/app/manifests/latest'
const upload = '/v2/team/app/blobs/uploads/u1'

type Case = readonly [what: string, target: string, authorization: string, status: number]
const REFUSED: readonly Case[] = [
  ['no credentials', upload, '', 401],
  ['a token for another repository', upload, other, 401],
  ['a password without the access', upload, basic('alice', 'pw'), 403],
  ["another account's upload", upload, bearer([repositoryAccess('team/app', 'push')]), 404],
  ['an invalid name', '/v2/Team/blobs/uploads/u1', other, 400],
  ['a manifest that is too long', manifest, bearer([repositoryAccess('team/app', 'pull', 'push')]), 413],
]
const UNDECIDED: Case = ['auth-service being unavailable', upload, ofUnknownKey, 503]

/** Begins to send a body, reads the response, and waits until the connection is closed. */
async function sendWithoutEnd([, target, authorization]: Case, framing: string): Promise<string> {
  const connection = await openRawConnection(port)
  const method = target === manifest ? 'PUT' : 'PATCH'
  connection.write(
    `${method} ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n${framing}\r\n\r\n`,
  )
  // More than all buffers hold, and less than Content-Length.
  const part = 'x'.repeat(MIB)
  for (let sent = 0; sent < 12; sent += 1) {
    connection.write(framing.startsWith('C') ? part : `${MIB.toString(16)}\r\n${part}\r\n`)
  }
  await connection.receives('}]}')
  return connection.closed()
}

/** At the same time, because every connection lingers for a moment before it is closed. */
const sendAll = (cases: readonly Case[]) =>
  Promise.all(
    ['Content-Length: 1000000000', 'Transfer-Encoding: chunked'].flatMap((framing) =>
      cases.map(async (one) => [one, framing, await sendWithoutEnd(one, framing)] as const),
    ),
  )

t.test(
  'a refusal is sent whole while a large body is arriving, and then the connection is closed',
  async (t) => {
    const refused = await sendAll(REFUSED)
    auth.behaviour = 'down'
    const undecided = await sendAll([UNDECIDED])
    auth.behaviour = 'up'
    for (const [[what, , , status], framing, received] of [...refused, ...undecided]) {
      t.test(`the refusal for ${what} is whole, with ${framing}`, async (t) => {
        t.equal(statusOf(received), status)
        t.match(received, /^connection: close\r$/im)
        t.match(received, /^docker-distribution-api-version: registry\/2\.0\r$/im)
        const [, body = ''] = received.split('\r\n\r\n')
        t.equal(JSON.parse(body).errors.length, 1)
        t.equal(
          /^content-length: (\d+)\r$/im.exec(received)?.[1],
          String(body.length),
          'the whole body was received',
        )
      })
    }
    t.same(upstream.requests, [])
  },
)

t.test('the connection stays open after the refusal of a short body', async (t) => {
  const connection = await openRawConnection(port)
  connection.write(`PATCH ${upload} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`)
  await connection.receives('}]}')
  connection.write('GET /v2/Team HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  const statuses = (await connection.closed()).match(/HTTP\/1\.1 \d+/g)
  t.same(statuses, ['HTTP/1.1 401', 'HTTP/1.1 404'])
})
