import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { until } from '@registry-manager/testing/until'
import { DirectoryUnavailable } from '../services/auth-service/src/directory/directory.ts'
import { createAuthority } from './harness/certificates.ts'
import { connectForTest, withRetries } from './harness/connected-directory.ts'
import { startFaultyProxy } from './harness/faulty-proxy.ts'
import { slapdIsMissing, startSlapd } from './harness/slapd.ts'
import { settingsFor } from './harness/test-directory.ts'

const PASSWORD = 'a-password-of-alice'

t.test('directory connections are secure and shared', { skip: await slapdIsMissing() }, async (t) => {
  const slapd = await startSlapd(t)
  await slapd.addUsers({ alice: PASSWORD })
  const settings = settingsFor(slapd)
  const found = { outcome: 'found', entry: { dn: slapd.userDn('alice'), state: 'active' } }
  const isUnavailable = async (t: Test, change: Record<string, string>, message: string) => {
    const { find } = connectForTest(t, { ...settings, ...change })
    await t.rejects(find('alice'), DirectoryUnavailable, message)
  }

  await t.test("ldaps: the directory's certificate is always verified", async (t) => {
    t.match(await connectForTest(t, settings).find('alice'), found)
    await isUnavailable(t, { DIRECTORY_CA_FILE: '' }, 'a certificate of an unknown authority is refused')
    const folder = await mkdtemp(join(tmpdir(), 'another-authority-'))
    t.teardown(() => rm(folder, { recursive: true }))
    await isUnavailable(
      t,
      { DIRECTORY_CA_FILE: (await createAuthority(folder)).file },
      'a certificate of another authority is refused',
    )
    const elsewhere = await startFaultyProxy(t, slapd, '127.0.0.2')
    await isUnavailable(
      t,
      { DIRECTORY_URL: `ldaps://127.0.0.2:${elsewhere.port}` },
      'a certificate for another host is refused',
    )
    t.equal(elsewhere.opened > 0, true)
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    t.teardown(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
    await isUnavailable(t, { DIRECTORY_CA_FILE: '' }, 'NODE_TLS_REJECT_UNAUTHORIZED has no effect')
  })

  await t.test('StartTLS: no password is sent before the connection is encrypted', async (t) => {
    const proxy = await startFaultyProxy(t, { host: slapd.host, port: slapd.plainPort })
    const plain = { ...settings, DIRECTORY_URL: `ldap://127.0.0.1:${proxy.port}` }
    const upgraded = connectForTest(t, { ...plain, DIRECTORY_START_TLS: 'true' })
    t.match(await upgraded.find('alice'), found)
    t.match(await upgraded.verify('alice', PASSWORD), { outcome: 'verified' })
    t.notOk(proxy.received.includes(PASSWORD))
    t.notOk(proxy.received.includes(slapd.service.password))
    await isUnavailable(
      t,
      { ...plain, DIRECTORY_START_TLS: 'true', DIRECTORY_CA_FILE: '' },
      'the certificate is verified after StartTLS',
    )
    t.notOk(proxy.received.includes(slapd.service.password))

    const readable = connectForTest(t, { ...plain, DIRECTORY_ALLOW_PLAINTEXT: 'true' })
    readable.start()
    t.match(readable.lines, [/^warn passwords are sent to the directory unencrypted/])
    t.match(await readable.verify('alice', PASSWORD), { outcome: 'verified' })
    t.ok(proxy.received.includes(PASSWORD), 'plaintext passwords are sent only if the setting allows it')
  })

  await t.test('StartTLS: a server that refuses it gets no password', async (t) => {
    const { port, received } = await startRefusingServer(t)
    await isUnavailable(
      t,
      { DIRECTORY_URL: `ldap://127.0.0.1:${port}`, DIRECTORY_START_TLS: 'true' },
      'refused',
    )
    t.ok(received().includes('1.3.6.1.4.1.1466.20037'))
    t.notOk(received().includes(slapd.service.password))
  })

  await t.test('StartTLS: data that was injected before the encryption is ignored', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'slipped-in-'))
    t.teardown(() => rm(folder, { recursive: true }))
    const authority = await createAuthority(folder)
    const certificate = await authority.issue('server', ['IP:127.0.0.1'])
    const [key, cert] = [await readFile(certificate.keyFile), await readFile(certificate.certificateFile)]
    // A client may continue its message ids after StartTLS, or begin again.
    for (const ahead of [0, 1]) {
      const port = await listen(t, (socket) => {
        socket.once('data', (request: Buffer) => {
          const id = idOf(request)
          // Begins a forged response "bound" to the next request. The real response would become the rest of its text.
          const forged = Buffer.from(`301a0201${hex(id + ahead)}61150a01000400040e`, 'hex')
          socket.write(Buffer.concat([response(id, 0x78, 0), forged]))
          const secured = new TLSSocket(socket, { isServer: true, key, cert })
          secured.on('error', () => {})
          // The real response: the password is wrong.
          secured.on('data', (bind: Buffer) => secured.write(response(idOf(bind), 0x61, 49)))
        })
      })
      const connected = connectForTest(t, {
        ...settings,
        DIRECTORY_URL: `ldap://127.0.0.1:${port}`,
        DIRECTORY_START_TLS: 'true',
        DIRECTORY_CA_FILE: authority.file,
      })
      await t.rejects(connected.find('alice'), DirectoryUnavailable)
      t.equal(connected.count('service_bind ok'), 0)
      t.equal(connected.count('service_bind refused'), 1)
    }
  })

  await t.test('several directory servers are used in the configured order', async (t) => {
    const [first, second] = [await startFaultyProxy(t, slapd), await startFaultyProxy(t, slapd)]
    const DIRECTORY_URL = [first, second].map(({ port }) => `ldaps://127.0.0.1:${port}`).join(',')
    const connect = () => connectForTest(t, { ...settings, DIRECTORY_URL })
    const before = connect()
    t.match(await before.find('alice'), found)
    t.equal(second.opened, 0, 'the second server is not used while the first responds')
    first.fault = 'reset'
    t.match(await before.find('alice'), found)
    t.equal(second.opened, 1, 'the second server is used after the failure')

    first.fault = 'black-hole'
    const connected = withRetries(connect())
    connected.start()
    for (const _ of [1, 2, 3]) {
      t.match(await connected.find('alice'), found, 'a silent first server causes a delay only')
      second.cut()
    }
    const begun = performance.now()
    t.match(await connected.find('alice'), found)
    t.comment(`after three failures the second responded in ${Math.round(performance.now() - begun)} ms`)
    const opened = first.opened
    await connected.find('alice')
    first.fault = 'none'
    await until(
      () => connected.lines.join().includes('is available again'),
      'a probe finds the first server',
      30,
    )
    t.ok(first.opened > opened, "a probe finds that the first server is back, without a user's sign-in")
  })

  await t.test('a directory connection that was closed while idle causes no error', async (t) => {
    const proxy = await startFaultyProxy(t, slapd)
    const connected = connectForTest(t, { ...settings, DIRECTORY_URL: `ldaps://127.0.0.1:${proxy.port}` })
    for (const _ of [1, 2, 3]) {
      t.match(await connected.find('alice'), found)
      proxy.cut()
    }
    t.equal(proxy.opened, 3)
    t.equal(connected.count('connect failed'), 0)
  })

  await t.test('many concurrent directory searches share a few connections', async (t) => {
    const proxy = await startFaultyProxy(t, slapd)
    const connected = connectForTest(t, { ...settings, DIRECTORY_URL: `ldaps://127.0.0.1:${proxy.port}` })
    for (const found of await Promise.all(Array.from({ length: 60 }, () => connected.find('alice'))))
      t.match(found, { outcome: 'found' })
    t.ok(proxy.opened <= 8, `${proxy.opened} connections`)
    await connected.find('alice')
    t.ok(proxy.opened <= 8, 'the connections stay open')
  })

  await t.test(
    'a refused service account is retried so rarely that the directory does not lock it',
    async (t) => {
      const connected = connectForTest(t, { ...settings, DIRECTORY_BIND_PASSWORD: 'not-its-password' })
      connected.start()
      for (const _ of [1, 2, 3, 4, 5, 6]) await t.rejects(connected.find('alice'), DirectoryUnavailable)
      t.ok(
        connected.count('service_bind refused') < slapd.lockedAfter,
        'too few binds were sent to lock the account',
      )
      t.match(
        connected.lines.join('\n'),
        /error the directory refuses the credentials of the service account/,
      )
      t.notMatch(connected.lines.join('\n'), 'not-its-password')
    },
  )
})

/** An LDAP server that answers every request with "protocol error", like one that does not support StartTLS. */
async function startRefusingServer(t: Test) {
  const received: Buffer[] = []
  const port = await listen(t, (socket) => {
    socket.on('data', (request: Buffer) => {
      received.push(request)
      socket.write(response(idOf(request), 0x78, 2))
    })
  })
  return { port, received: () => Buffer.concat(received) }
}

/** Listens on a loopback port. Returns the port. */
async function listen(t: Test, serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    serve(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** Returns the message id of a short message. Source: RFC 4511 §4.1.1. */
function idOf(message: Buffer): number {
  return message.readUInt8(4)
}

/** Encodes a result without a text. Source: RFC 4511 §4.1.9. */
function response(id: number, tag: number, code: number): Buffer {
  return Buffer.from(`300c0201${hex(id)}${hex(tag)}070a01${hex(code)}04000400`, 'hex')
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
