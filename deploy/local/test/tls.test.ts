import { X509Certificate } from 'node:crypto'
import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import t from 'tap'
import { makeForeignPair } from './fixtures/foreign-pair.ts'
import { ensureTls } from '../stack/tls.ts'

const HOSTS = ['registry.example', 'localhost', '127.0.0.1']
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000)
const certificate = (file: string) => new X509Certificate(readFileSync(file))

t.test('ensureTls creates an authority and a certificate for the served hosts', async (t) => {
  const folder = join(t.testdir(), 'tls')
  const files = await ensureTls(folder, HOSTS)
  const [authority, leaf] = [certificate(files.authority), certificate(files.certificate)]
  t.equal(files.authority, join(folder, 'ca.crt'))
  t.equal(authority.ca, true)
  t.equal(leaf.ca, false)
  t.ok(leaf.verify(authority.publicKey))
  t.strictSame(leaf.subjectAltName?.split(', '), [
    'DNS:registry.example',
    'DNS:localhost',
    'IP Address:127.0.0.1',
  ])
  t.equal(leaf.checkHost('other.example'), undefined)
  t.match(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'the certificate is for servers')
  // Apple's limit for certificates of private authorities.
  t.ok(leaf.validToDate < inDays(825))
  t.ok(
    createSecureContext({ cert: readFileSync(files.certificate), key: readFileSync(files.key) }),
    'the key matches the certificate',
  )
  for (const name of ['ca.key', 'server.key']) {
    t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, `only its owner can read ${name}`)
  }
})

t.test(
  'ensureTls keeps a valid certificate and renews one that expires soon, with the same authority',
  async (t) => {
    const folder = t.testdir()
    const files = await ensureTls(folder, HOSTS)
    const read = () =>
      [files.authority, files.certificate, files.key].map((file) => readFileSync(file, 'utf8'))
    const first = read()
    await ensureTls(folder, HOSTS)
    await ensureTls(folder, HOSTS.slice(1), inDays(330))
    t.strictSame(read(), first)

    await ensureTls(folder, HOSTS, inDays(340))
    const second = read()
    t.equal(second[0], first[0], 'the authority that clients trust is unchanged')
    t.not(second[1], first[1])
    t.ok(certificate(files.certificate).checkIssued(certificate(files.authority)))
  },
)

t.test('ensureTls replaces its own certificate if the served hosts change', async (t) => {
  const folder = t.testdir()
  const files = await ensureTls(folder, HOSTS)
  const first = readFileSync(files.certificate, 'utf8')
  await ensureTls(folder, ['other.example'])
  t.equal(certificate(files.certificate).checkHost('other.example'), 'other.example')
  await ensureTls(folder, HOSTS)
  t.not(readFileSync(files.certificate, 'utf8'), first)
  t.equal(certificate(files.certificate).checkIP('127.0.0.1'), '127.0.0.1')
})

t.test('ensureTls keeps a certificate of another authority, even after it has expired', async (t) => {
  const own = makeForeignPair(t.testdir(), 'registry.example')
  const folder = t.testdir({})
  for (const [name, text] of Object.entries(own)) writeFileSync(join(folder, name), text)
  const files = await ensureTls(folder, ['other.example'], inDays(5000))
  t.equal(files.isOurs, false)
  t.strictSame(readdirSync(folder).toSorted(), ['server.crt', 'server.key'], 'no authority is created')
  for (const [name, text] of Object.entries(own)) t.equal(readFileSync(join(folder, name), 'utf8'), text)
})

t.test(
  'a certificate of an authority with our name but another key is kept like any foreign certificate',
  async (t) => {
    const [folder, other] = [t.testdir({}), join(t.testdir({}), 'other')]
    await ensureTls(folder, HOSTS)
    await ensureTls(other, HOSTS)
    for (const name of ['server.crt', 'server.key']) cpSync(join(other, name), join(folder, name))
    const before = readFileSync(join(folder, 'server.crt'), 'utf8')
    t.equal((await ensureTls(folder, ['new.example'])).isOurs, false)
    t.equal(readFileSync(join(folder, 'server.crt'), 'utf8'), before)
  },
)

t.test('an authority that expires soon is reported and not replaced, because clients trust it', async (t) => {
  const folder = t.testdir()
  await ensureTls(folder, HOSTS)
  await t.rejects(ensureTls(folder, HOSTS, inDays(3640)), { message: /ca\.crt expires on .*: remove / })
})
