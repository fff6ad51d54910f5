import { X509Certificate } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { makeForeignPair } from './fixtures/foreign-pair.ts'
import { runCommand } from '../../../test-e2e/harness/run-command.ts'

const COMMAND = fileURLToPath(new URL('../make-secrets.ts', import.meta.url))

const run = (folder: string, env: Record<string, string> = {}) =>
  runCommand('sh', ['-c', 'umask 077; exec "$0" "$@"', process.execPath, COMMAND, folder], { env })

/** The content and mode of every file below a folder, by its path in the folder. */
function filesOf(folder: string) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .filter((name) => statSync(join(folder, name)).isFile())
  return Object.fromEntries(
    files.map((name) => [
      name,
      { text: readFileSync(join(folder, name), 'utf8'), mode: statSync(join(folder, name)).mode & 0o777 },
    ]),
  )
}

t.test(
  'npm run secrets creates every secret once, and containers can read those that they need',
  async (t) => {
    const folder = join(t.testdir(), 'secrets')
    const { stdout } = await run(folder, { PUBLIC_HOST: 'registry.example:8443' })
    const made = filesOf(folder)
    t.same(Object.keys(made), [
      'admin-password',
      'database-url',
      'postgres-password',
      'registry-http-secret',
      'service-credential',
      'signing-keys/ca-key.pem',
      'signing-keys/ca.pem',
      'signing-keys/current.pem',
      'signing-keys/next.pem',
      'tls/ca.crt',
      'tls/ca.key',
      'tls/server.crt',
      'tls/server.key',
      'upload-secret',
    ])
    for (const [name, { text, mode }] of Object.entries(made)) {
      const makesOthers = name === 'signing-keys/ca-key.pem' || name === 'tls/ca.key'
      t.equal(mode, makesOthers ? 0o600 : 0o644, name)
      t.notMatch(stdout, text.trim(), `${name} is not printed`)
    }
    t.equal(statSync(folder).mode & 0o777, 0o700, 'only its owner can enter the folder')
    t.match(made['database-url']?.text, `registry:${made['postgres-password']?.text}@`)
    const certificate = new X509Certificate(made['tls/server.crt']?.text ?? '')
    t.equal(certificate.checkHost('registry.example'), 'registry.example')
    t.ok(certificate.checkIssued(new X509Certificate(made['tls/ca.crt']?.text ?? '')))

    await run(folder, { PUBLIC_HOST: 'registry.example' })
    t.same(filesOf(folder), made, 'a second run changes nothing')

    rmSync(join(folder, 'upload-secret'))
    await run(folder)
    t.not(
      readFileSync(join(folder, 'upload-secret'), 'utf8'),
      made['upload-secret']?.text,
      'a missing secret is created',
    )
  },
)

t.test(
  "npm run secrets keeps the operator's own certificate and key, with or without our authority beside them",
  async (t) => {
    const own = makeForeignPair(t.testdir(), 'registry.example')
    const folder = join(t.testdir({}), 'secrets')
    const place = (name: string) => join(folder, 'tls', name)
    const put = () => {
      for (const [name, text] of Object.entries(own)) writeFileSync(place(name), text)
    }
    const isKept = (when: string) => {
      for (const [name, text] of Object.entries(own)) t.equal(readFileSync(place(name), 'utf8'), text, when)
    }
    mkdirSync(join(folder, 'tls'), { recursive: true })
    put()
    writeFileSync(place('company-ca.key'), 'of the company', { mode: 0o600 })
    const first = await run(folder, { PUBLIC_HOST: 'registry.example' })
    isKept('added before the first run')
    t.match(first.stdout, /your own certificate is kept/)
    t.notMatch(first.stdout, /warning/)
    t.notOk(existsSync(place('ca.key')), 'no authority is created that would sign nothing')
    t.equal(statSync(place('company-ca.key')).mode & 0o777, 0o600, 'other files keep their mode')

    const other = await run(folder, { PUBLIC_HOST: 'other.example:8443' })
    isKept('kept for another host')
    t.match(
      other.stdout,
      /warning: .*server\.crt is not valid for other\.example, only for DNS:registry\.example/,
    )

    for (const name of ['server.crt', 'server.key']) rmSync(place(name))
    await run(folder, { PUBLIC_HOST: 'registry.example' })
    t.ok(existsSync(place('ca.key')), 'without a certificate, our own is created')
    put()
    await run(folder, { PUBLIC_HOST: 'other.example' })
    isKept('replaced ours, with our authority still beside it')
  },
)

t.test(
  'npm run secrets refuses a certificate or key that nginx could not serve, and does not change it',
  async (t) => {
    const own = makeForeignPair(t.testdir(), 'registry.example')
    const folder = join(t.testdir({}), 'secrets')
    await run(folder)
    const made = filesOf(folder)
    const cases: [string, string, RegExp][] = [
      ['server.crt', 'rubbish', /server\.crt is not a readable PEM certificate/],
      ['server.crt', own['server.crt'] ?? '', /server\.key is not the private key of .*server\.crt/],
      ['server.key', '', /server\.key is not a readable PEM private key/],
    ]
    for (const [name, text, told] of cases) {
      writeFileSync(join(folder, 'tls', name), text)
      await t.rejects(run(folder), { code: 1, stderr: told }, `the error names the wrong ${name}`)
      t.equal(readFileSync(join(folder, 'tls', name), 'utf8'), text, `${name} is unchanged`)
      writeFileSync(join(folder, 'tls', name), made[`tls/${name}`]?.text ?? '')
    }
    rmSync(join(folder, 'tls', 'server.crt'))
    await t.rejects(
      run(folder),
      { code: 1, stderr: /server\.crt is not a readable/ },
      'a key without its certificate is not replaced',
    )
    t.equal(readFileSync(join(folder, 'tls', 'server.key'), 'utf8'), made['tls/server.key']?.text)
  },
)

t.test('npm run secrets never replaces an existing authority, secret or signing key', async (t) => {
  const folder = join(t.testdir(), 'secrets')
  await run(folder)
  const isRefused = async (name: string, text: string, told: RegExp, ...without: string[]) => {
    const before = filesOf(folder)
    for (const gone of without) rmSync(join(folder, gone))
    writeFileSync(join(folder, name), text)
    await t.rejects(run(folder), { code: 1, stderr: told }, told.source)
    t.equal(readFileSync(join(folder, name), 'utf8'), text, `${name} is unchanged`)
    for (const [file, { text: was }] of Object.entries(before)) writeFileSync(join(folder, file), was)
  }
  await isRefused('upload-secret', '', /upload-secret is empty/)
  await isRefused('tls/ca.crt', 'rubbish', /ca\.crt is not a certificate/, 'tls/server.crt', 'tls/server.key')
  await isRefused(
    'signing-keys/ca-key.pem',
    'mine',
    /holds ca-key\.pem/,
    'signing-keys/current.pem',
    'signing-keys/ca.pem',
  )
})

t.test('npm run secrets refuses a folder that contains other files', async (t) => {
  const folder = t.testdir({ 'letters.txt': 'mine' })
  chmodSync(folder, 0o755)
  await t.rejects(run(folder), { code: 1, stderr: /it holds other files/ })
  t.same(readdirSync(folder), ['letters.txt'])
  t.equal(statSync(folder).mode & 0o777, 0o755, 'the mode is unchanged')
})

t.test(
  'npm run secrets refuses a certificate that is a symbolic link, because a container could not follow it',
  async (t) => {
    const own = makeForeignPair(t.testdir(), 'localhost')
    const folder = join(t.testdir({}), 'secrets')
    const elsewhere = t.testdir(own)
    mkdirSync(join(folder, 'tls'), { recursive: true })
    chmodSync(join(elsewhere, 'server.key'), 0o600)
    for (const name of Object.keys(own)) symlinkSync(join(elsewhere, name), join(folder, 'tls', name))
    await t.rejects(run(folder), {
      code: 1,
      stderr: /is a symbolic link, which does not work inside a container/,
    })
    t.equal(
      statSync(join(elsewhere, 'server.key')).mode & 0o777,
      0o600,
      'the key that the link points to keeps its mode',
    )
  },
)

t.test('npm run secrets corrects the modes of an existing folder and its files', async (t) => {
  const folder = join(t.testdir(), 'secrets')
  mkdirSync(folder)
  chmodSync(folder, 0o755)
  await run(folder)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  const made = filesOf(folder)
  for (const name of Object.keys(made)) chmodSync(join(folder, name), name.includes('ca') ? 0o644 : 0o600)
  for (const name of ['', 'tls', 'signing-keys']) chmodSync(join(folder, name), 0o777)
  await run(folder)
  t.same(filesOf(folder), made)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  for (const name of ['tls', 'signing-keys']) t.equal(statSync(join(folder, name)).mode & 0o777, 0o755)
})

t.test(
  'npm run secrets refuses a PUBLIC_HOST that the services and the registry would read differently',
  async (t) => {
    const folder = join(t.testdir(), 'secrets')
    for (const [host, told] of [
      ['registry.example:443', /write it as registry\.example,/],
      ['Registry.Example:8443', /write it as registry\.example:8443,/],
      ['bücher.example', /write it as xn--bcher-kva\.example,/],
      ['https://registry.example', /must be host\[:port\]/],
      ['registry.example/', /must be host\[:port\]/],
      ['registry.example:x', /must be host\[:port\]/],
    ] as const) {
      await t.rejects(run(folder, { PUBLIC_HOST: host }), { code: 2, stderr: told }, host)
    }
    t.notOk(existsSync(folder), 'a refused host creates no folder')
    for (const host of ['registry.example', '10.0.0.1:8443', '[::1]:8443']) {
      await run(folder, { PUBLIC_HOST: host })
      t.match(readFileSync(join(folder, 'tls', 'server.crt'), 'utf8'), /BEGIN CERTIFICATE/, host)
    }
  },
)

t.test('npm run secrets without a folder exits with code 2 and asks for one', async (t) => {
  await t.rejects(runCommand(process.execPath, [COMMAND]), { code: 2, stderr: /name the folder/ })
})
