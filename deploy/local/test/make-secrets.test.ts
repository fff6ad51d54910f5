import { X509Certificate } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runCommand } from '../../../test-e2e/harness/run-command.ts'

const COMMAND = fileURLToPath(new URL('../make-secrets.ts', import.meta.url))

const run = (folder: string, env: Record<string, string> = {}) =>
  runCommand('sh', ['-c', 'umask 077; exec "$0" "$@"', process.execPath, COMMAND, folder], { env })

/** Every file below a folder, by its path there, with what it holds and who may read it. */
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

t.test('secrets are made once, and a container can read those that it needs', async (t) => {
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
    t.notMatch(stdout, text.trim(), `${name} is not told`)
  }
  t.equal(statSync(folder).mode & 0o777, 0o700, 'behind a folder that only its owner gets past')
  t.match(made['database-url']?.text, `registry:${made['postgres-password']?.text}@`)
  const certificate = new X509Certificate(made['tls/server.crt']?.text ?? '')
  t.equal(certificate.checkHost('registry.example'), 'registry.example')
  t.ok(certificate.checkIssued(new X509Certificate(made['tls/ca.crt']?.text ?? '')))

  await run(folder, { PUBLIC_HOST: 'registry.example' })
  t.same(filesOf(folder), made, 'a second time changes nothing')

  rmSync(join(folder, 'upload-secret'))
  for (const name of ['ca.crt', 'ca.key']) rmSync(join(folder, 'tls', name))
  writeFileSync(join(folder, 'tls', 'server.crt'), "somebody else's")
  await run(folder)
  t.not(
    readFileSync(join(folder, 'upload-secret'), 'utf8'),
    made['upload-secret']?.text,
    'what is gone is made',
  )
  t.equal(readFileSync(join(folder, 'tls', 'server.crt'), 'utf8'), "somebody else's")
  t.notOk(existsSync(join(folder, 'tls', 'ca.crt')))
})

t.test('who may read what is mended, where it was there before', async (t) => {
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

t.test('a host that the services and the registry would read differently is refused', async (t) => {
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
  t.notOk(existsSync(folder), 'and nothing is made')
  for (const host of ['registry.example', '10.0.0.1:8443', '[::1]:8443']) {
    await run(folder, { PUBLIC_HOST: host })
    t.match(readFileSync(join(folder, 'tls', 'server.crt'), 'utf8'), /BEGIN CERTIFICATE/, host)
  }
})

t.test('without a folder it says so', async (t) => {
  await t.rejects(runCommand(process.execPath, [COMMAND]), { code: 2, stderr: /which folder/ })
})
