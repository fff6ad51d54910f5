import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { DirectoryUnavailable } from '../services/auth-service/src/directory/directory.ts'
import { createAuthority } from './harness/certificates.ts'
import { connectForTest, patient } from './harness/connected-directory.ts'
import { startFaultyProxy } from './harness/faulty-proxy.ts'
import { slapdIsMissing, startSlapd } from './harness/slapd.ts'
import { settingsFor } from './harness/test-directory.ts'

const PASSWORD = 'a-password-of-alice'

t.test('connections to a directory', { skip: await slapdIsMissing() }, async (t) => {
  const slapd = await startSlapd(t)
  await slapd.addUsers({ alice: PASSWORD })
  const settings = settingsFor(slapd)
  const found = { outcome: 'found', entry: { dn: slapd.personDn('alice'), state: 'active' } }
  const isAway = async (t: Test, change: Record<string, string>, message: string) => {
    const { find } = connectForTest(t, { ...settings, ...change })
    await t.rejects(find('alice'), DirectoryUnavailable, message)
  }

  await t.test('ldaps: the certificate is verified, always', async (t) => {
    t.match(await connectForTest(t, settings).find('alice'), found)
    await isAway(t, { DIRECTORY_CA_FILE: '' }, 'an authority that nobody knows')
    const folder = await mkdtemp(join(tmpdir(), 'another-authority-'))
    t.teardown(() => rm(folder, { recursive: true }))
    await isAway(t, { DIRECTORY_CA_FILE: (await createAuthority(folder)).file }, 'another authority')
    const elsewhere = await startFaultyProxy(t, slapd, '127.0.0.2')
    await isAway(t, { DIRECTORY_URL: `ldaps://127.0.0.2:${elsewhere.port}` }, 'the name of another host')
    t.equal(elsewhere.opened > 0, true)
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    t.teardown(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
    await isAway(t, { DIRECTORY_CA_FILE: '' }, 'whatever the environment says')
  })

  await t.test('StartTLS, and no password before it', async (t) => {
    const proxy = await startFaultyProxy(t, { host: slapd.host, port: slapd.plainPort })
    const plain = { ...settings, DIRECTORY_URL: `ldap://127.0.0.1:${proxy.port}` }
    const upgraded = connectForTest(t, { ...plain, DIRECTORY_START_TLS: 'true' })
    t.match(await upgraded.find('alice'), found)
    t.match(await upgraded.verify('alice', PASSWORD), { outcome: 'verified' })
    t.notOk(proxy.heard.includes(PASSWORD))
    t.notOk(proxy.heard.includes(slapd.service.password))
    await isAway(t, { ...plain, DIRECTORY_START_TLS: 'true', DIRECTORY_CA_FILE: '' }, 'it is verified too')
    t.notOk(proxy.heard.includes(slapd.service.password))

    const readable = connectForTest(t, { ...plain, DIRECTORY_ALLOW_PLAINTEXT: 'true' })
    readable.start()
    t.match(readable.lines, [/^warn passwords are sent to the directory unencrypted/])
    t.match(await readable.verify('alice', PASSWORD), { outcome: 'verified' })
    t.ok(proxy.heard.includes(PASSWORD), 'without it they travel readable: only where that is allowed')
  })

  await t.test('who refuses StartTLS gets no password', async (t) => {
    const { port, heard } = await startRefusingServer(t)
    await isAway(t, { DIRECTORY_URL: `ldap://127.0.0.1:${port}`, DIRECTORY_START_TLS: 'true' }, 'refused')
    t.ok(heard().includes('1.3.6.1.4.1.1466.20037'))
    t.notOk(heard().includes(slapd.service.password))
  })

  await t.test('what is slipped in before TLS is not believed', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'slipped-in-'))
    t.teardown(() => rm(folder, { recursive: true }))
    const authority = await createAuthority(folder)
    const certificate = await authority.issue('server', ['IP:127.0.0.1'])
    const [key, cert] = [await readFile(certificate.keyFile), await readFile(certificate.certificateFile)]
    // Whether ids are counted on or begin anew behind TLS.
    for (const ahead of [0, 1]) {
      const port = await listen(t, (socket) => {
        socket.once('data', (request: Buffer) => {
          const id = idOf(request)
          // Begins an answer "bound" to the next request, which would take the true answer for the rest of its text.
          const forged = Buffer.from(`301a0201${hex(id + ahead)}61150a01000400040e`, 'hex')
          socket.write(Buffer.concat([answer(id, 0x78, 0), forged]))
          const secured = new TLSSocket(socket, { isServer: true, key, cert })
          secured.on('error', () => {})
          // The truth: the password is wrong.
          secured.on('data', (bind: Buffer) => secured.write(answer(idOf(bind), 0x61, 49)))
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

  await t.test('several servers, in their order', async (t) => {
    const [first, second] = [await startFaultyProxy(t, slapd), await startFaultyProxy(t, slapd)]
    const DIRECTORY_URL = [first, second].map(({ port }) => `ldaps://127.0.0.1:${port}`).join(',')
    const connect = () => connectForTest(t, { ...settings, DIRECTORY_URL })
    const before = connect()
    t.match(await before.find('alice'), found)
    t.equal(second.opened, 0, 'the second is not asked while the first is there')
    first.fault = 'reset'
    t.match(await before.find('alice'), found)
    t.equal(second.opened, 1, 'then it is')

    first.fault = 'black-hole'
    const connected = patient(connect())
    connected.start()
    for (const _ of [1, 2, 3]) {
      t.match(await connected.find('alice'), found, 'a first that is silent takes its time')
      second.cut()
    }
    const begun = performance.now()
    t.match(await connected.find('alice'), found)
    t.comment(`after three failures the second answered in ${Math.round(performance.now() - begun)} ms`)
    const opened = first.opened
    await connected.find('alice')
    first.fault = 'none'
    for (let wait = 0; !connected.lines.join().includes('is available again'); wait += 50) {
      if (wait > 30_000) return t.fail('it is tried whether the first is back')
      await sleep(50)
    }
    return t.ok(first.opened > opened, 'it is tried whether the first is back, by nobody who signs in')
  })

  await t.test('a connection that was closed while nobody used it is no fault', async (t) => {
    const proxy = await startFaultyProxy(t, slapd)
    const connected = connectForTest(t, { ...settings, DIRECTORY_URL: `ldaps://127.0.0.1:${proxy.port}` })
    for (const _ of [1, 2, 3]) {
      t.match(await connected.find('alice'), found)
      proxy.cut()
    }
    t.equal(proxy.opened, 3)
    t.equal(connected.count('connect failed'), 0)
  })

  await t.test('many at once share few connections', async (t) => {
    const proxy = await startFaultyProxy(t, slapd)
    const connected = connectForTest(t, { ...settings, DIRECTORY_URL: `ldaps://127.0.0.1:${proxy.port}` })
    for (const found of await Promise.all(Array.from({ length: 60 }, () => connected.find('alice'))))
      t.match(found, { outcome: 'found' })
    t.ok(proxy.opened <= 8, `${proxy.opened} connections`)
    await connected.find('alice')
    t.ok(proxy.opened <= 8, 'which stay open')
  })

  await t.test('a service account that is refused does not go on trying', async (t) => {
    const connected = connectForTest(t, { ...settings, DIRECTORY_BIND_PASSWORD: 'not-its-password' })
    connected.start()
    for (const _ of [1, 2, 3, 4, 5, 6]) await t.rejects(connected.find('alice'), DirectoryUnavailable)
    t.ok(connected.count('service_bind refused') < slapd.lockedAfter, 'it would be locked')
    t.match(connected.lines.join('\n'), /error the directory refuses the credentials of the service account/)
    t.notMatch(connected.lines.join('\n'), 'not-its-password')
  })
})

/** An LDAP server that answers whatever is asked with "protocol error", as extended operations that it has not. */
async function startRefusingServer(t: Test) {
  const heard: Buffer[] = []
  const port = await listen(t, (socket) => {
    socket.on('data', (request: Buffer) => {
      heard.push(request)
      socket.write(answer(idOf(request), 0x78, 2))
    })
  })
  return { port, heard: () => Buffer.concat(heard) }
}

/** A server on a loopback port of its own; answers the port. */
async function listen(t: Test, serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    serve(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** The id of a short message. Source: RFC 4511 §4.1.1. */
function idOf(message: Buffer): number {
  return message.readUInt8(4)
}

/** A result without a text. Source: RFC 4511 §4.1.9. */
function answer(id: number, tag: number, code: number): Buffer {
  return Buffer.from(`300c0201${hex(id)}${hex(tag)}070a01${hex(code)}04000400`, 'hex')
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
