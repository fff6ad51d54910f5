import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'
import { processesNaming, startAndEnd, startEndlessUpload } from '../harness/launcher.ts'
import { runCommand } from '../harness/run-command.ts'
import { pushSmallImage } from '../harness/small-image.ts'
import { REPLICAS, pidOf, restartPart } from '../harness/stack-parts.ts'
import { STACK, basic, startStack } from '../harness/system.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

t.test('a restart finds everything again, and shows no password', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const first = await startStack(t, { dataDir })
  t.match(first.output(), /password .*shown this once/)
  t.match(
    first.output(),
    /docker login .*docker tag .*docker push .*curl --cacert .*\/user/s,
    'commands to copy',
  )
  t.match(first.output(), join(dataDir, 'tls', 'ca.crt'), 'and what clients are to trust')
  t.notOk(
    (await readdir(join(dataDir, 'secrets'))).includes('first-password'),
    'the password is kept nowhere',
  )
  const jane = await first.createUser('jane', ['team'])
  const image = await pushSmallImage(first, jane, 'team/app', 'v1')
  t.equal(await first.stop(), 0)
  t.strictSame(await processesNaming(dataDir), [], 'every part of it ended too')

  const again = await startStack(t, { dataDir, admin: first.admin })
  t.notMatch(again.output(), /shown this once/)
  const headers = { authorization: basic(jane) }
  const pull = await fetch(`${again.url}/v2/team/app/manifests/v1`, { headers })
  t.equal(await pull.text(), image.manifest)
})

t.test('it stops within 5 s while a client is in the middle of an upload', async (t) => {
  const system = await startStack(t)
  const { ended } = await startEndlessUpload(system)
  const begin = Date.now()
  t.equal(await system.stop(), 0)
  t.ok(Date.now() - begin < 5000, 'in time')
  await ended
  t.strictSame(await processesNaming(system.dataDir), [])
})

t.test('nothing of it outlives it, even when it is killed', async (t) => {
  const system = await startStack(t)
  t.ok((await processesNaming(system.dataDir)).length > REPLICAS.length)
  process.kill(Number(await readFile(join(system.dataDir, 'lock'), 'utf8')), 'SIGKILL')
  await system.ended
  const end = Date.now() + 20_000
  while ((await processesNaming(system.dataDir)).length > 0 && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.strictSame(await processesNaming(system.dataDir), [])
})

t.test('what keeps it from starting is told in one line', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const dataDir = join(folder, 'data')
  const file = join(folder, 'a-file')
  await writeFile(file, '')
  await mkdir(join(folder, 'embedded', 'database'), { recursive: true })
  const taken = createServer().listen(0, '0.0.0.0')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const used = String(port)
  const free = { HTTPS_PORT: String(await freePort()), REGISTRY_PORT: String(await freePort()) }
  const inside = { HTTP_PORT: String(await freePort()), INTERNAL_PORT: String(await freePort()) }
  const all = { ...free, ...inside, DATA_DIR: dataDir }

  const cases: [string, Record<string, string>, RegExp][] = [
    ['the HTTPS port in use', { HTTPS_PORT: used }, new RegExp(`^port ${port} .* is in use: free it`)],
    [
      'the registry’s port in use',
      { REGISTRY_PORT: used },
      new RegExp(`^port ${port} .* is in use: free it`),
    ],
    ['the plain port in use', { HTTP_PORT: used }, new RegExp(`^port ${port} .* is in use: free it`)],
    [
      'the internal port in use',
      { INTERNAL_PORT: used },
      /is in use: free it, or set INTERNAL_PORT to another port$/,
    ],
    [
      'a certificate that is none',
      { TLS_CERTIFICATE: file, TLS_CERTIFICATE_KEY: file },
      /^TLS_CERTIFICATE .*a-file is not/,
    ],
    ['a folder that cannot be', { DATA_DIR: join(file, 'data') }, /^DATA_DIR .*a-file\/data cannot be used/],
    ['no such nginx', { NGINX_BINARY: '/no/such/file' }, /^NGINX_BINARY: \/no\/such\/file does not exist$/],
    ['something else', { NGINX_BINARY: process.execPath }, /^NGINX_BINARY: .* is (not nginx|older)/],
    ['no such Postgres', { POSTGRES_BINARIES: folder }, /^POSTGRES_BINARIES: .* holds no initdb$/],
    ['no such registry', { REGISTRY_BINARY: '/no/such' }, /^REGISTRY_BINARY: \/no\/such does not exist$/],
    [
      'no such database',
      { DATABASE_URL: 'postgres://a:b@127.0.0.1:1/c' },
      /^connect ECONNREFUSED 127\.0\.0\.1:1$/,
    ],
  ]
  for (const [name, env, line] of cases) {
    const { code, lines } = await startAndEnd(STACK, { ...all, ...env })
    t.equal(code, 1, name)
    t.match(lines, [line], name)
    t.notMatch(lines.join(''), 'a:b@')
  }
  const settings = { HTTPS_PORT: 'https', REPLICAS: '0', DATA_DIR: join(folder, 'embedded') }
  const bad = await startAndEnd(STACK, { ...all, ...settings })
  t.equal(bad.code, 1)
  for (const [setting, told] of [
    [{ TLS_CERTIFICATE: file }, /TLS_CERTIFICATE and TLS_CERTIFICATE_KEY must be set together/],
    [{ DATA_DIR: join(folder, 'a;b {c') }, /DATA_DIR may hold letters, digits and .* because nginx reads it/],
  ] as const) {
    t.match((await startAndEnd(STACK, { ...all, ...setting })).lines.join('\n'), told)
  }
  for (const name of ['HTTPS_PORT', 'REPLICAS']) t.match(bad.lines.join('\n'), name, `${name} is named`)
  t.strictSame(await processesNaming(folder), [])
})

t.test('every part that dies is started again', async (t) => {
  const system = await startStack(t)
  const jane = await system.createUser('jane', ['team'])
  for (const part of ['postgres', 'registry', 'nginx', 'between', 'image-manager-2']) {
    await restartPart(system, part, 'SIGKILL')
    t.match(system.output(), `${part} ended (SIGKILL): restarting it`)
  }
  await pushSmallImage(system, jane, 'team/app', 'v1')

  const [, internal = ''] = /health +(http:\S+)\/PART\/readyz/.exec(system.output()) ?? []
  const [, parts = ''] = /where PART is (.*)$/m.exec(system.output()) ?? []
  t.strictSame(parts.split(', ').toSorted(), REPLICAS.toSorted(), 'the banner names every process')
  for (const part of parts.split(', ')) {
    t.equal((await fetch(`${internal}/${part}/readyz`)).status, 200, `${part} is healthy`)
    const metrics = await (await fetch(`${internal}/${part}/metrics`)).text()
    t.match(metrics, `service="${part.replace(/-\d+$/, '')}"`, `${part} is measured`)
    t.equal(
      (await fetch(`${internal}/${part}/internal/revocations`)).status,
      404,
      'and nothing else of it is there',
    )
  }
  t.match(await (await fetch(internal)).text(), '/auth-service-1/metrics\n', 'the port lists what it has')
  const logs = await readdir(join(system.dataDir, 'logs'))
  for (const log of ['access.log', 'registry.log', 'postgres.log', 'nginx.log']) t.ok(logs.includes(log), log)

  const file = join(system.dataDir, 'a-backup.gz')
  const npm = ['run', '--silent', 'backup', '--', file]
  await runCommand('npm', npm, { cwd: ROOT, env: { DATA_DIR: system.dataDir } })
  t.match(gunzipSync(await readFile(file)).toString(), '"username":"jane"', 'it is backed up while it runs')
  t.equal(await system.stop(), 0)
  t.equal(await pidOf(system, 'postgres'), undefined)
})
