import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { freePort } from '../../deploy/local/free-port.ts'
import { processesNaming, startAndEnd, startEndlessUpload } from '../harness/launcher.ts'
import { runCommand } from '../harness/run-command.ts'
import { pushSmallImage } from '../harness/small-image.ts'
import { REPLICAS, pidOf, restartProcess } from '../harness/stack-processes.ts'
import { STACK, basic, startStack } from '../harness/system.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

t.test('npm run stack: a restart keeps all data and prints no password', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const first = await startStack(t, { dataDir })
  t.match(first.output(), /password .*shown this once/)
  t.match(
    first.output(),
    /docker login .*docker tag .*docker push .*curl --cacert .*\/user/s,
    'the banner has commands to copy',
  )
  t.match(first.output(), join(dataDir, 'tls', 'ca.crt'), 'the banner names the certificate authority')
  t.notOk((await readdir(join(dataDir, 'secrets'))).includes('first-password'), 'the password is not stored')
  const jane = await first.createUser('jane', ['team'])
  const image = await pushSmallImage(first, jane, 'team/app', 'v1')
  t.equal(await first.stop(), 0)
  t.strictSame(await processesNaming(dataDir), [], 'all processes of the stack ended')

  const again = await startStack(t, { dataDir, admin: first.admin })
  t.notMatch(again.output(), /shown this once/)
  const headers = { authorization: basic(jane) }
  const pull = await fetch(`${again.url}/v2/team/app/manifests/v1`, { headers })
  t.equal(await pull.text(), image.manifest)
})

t.test('npm run stack stops within 5 s during an upload', async (t) => {
  const system = await startStack(t)
  const { ended } = await startEndlessUpload(system)
  // It would end itself with 1 after 4.5 s.
  t.equal(await system.stop(), 0)
  await ended
  t.strictSame(await processesNaming(system.dataDir), [])
})

t.test('npm run stack leaves no process behind, even when it is killed', async (t) => {
  const system = await startStack(t)
  t.ok((await processesNaming(system.dataDir)).length > REPLICAS.length)
  process.kill(Number(await readFile(join(system.dataDir, 'lock'), 'utf8')), 'SIGKILL')
  await system.ended
  await until(async () => (await processesNaming(system.dataDir)).length === 0, 'all processes ended', 20)
})

t.test('npm run stack prints one line for each problem that prevents a start', async (t) => {
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
    [
      'an impossible data folder',
      { DATA_DIR: join(file, 'data') },
      /^DATA_DIR .*a-file\/data cannot be used/,
    ],
    ['a missing nginx', { NGINX_BINARY: '/no/such/file' }, /^NGINX_BINARY: \/no\/such\/file does not exist$/],
    ['another program', { NGINX_BINARY: process.execPath }, /^NGINX_BINARY: .* is (not nginx|older)/],
    ['a missing Postgres', { POSTGRES_BINARIES: folder }, /^POSTGRES_BINARIES: .* holds no initdb$/],
    ['a missing registry', { REGISTRY_BINARY: '/no/such' }, /^REGISTRY_BINARY: \/no\/such does not exist$/],
    [
      'a missing database',
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
  for (const [setting, line] of [
    [{ TLS_CERTIFICATE: file }, /TLS_CERTIFICATE and TLS_CERTIFICATE_KEY must be set together/],
    [
      { DATA_DIR: join(folder, 'a;b {c') },
      /DATA_DIR may contain only letters, digits and .* because nginx reads it/,
    ],
  ] as const) {
    t.match((await startAndEnd(STACK, { ...all, ...setting })).lines.join('\n'), line)
  }
  for (const name of ['HTTPS_PORT', 'REPLICAS'])
    t.match(bad.lines.join('\n'), name, `the message has ${name}`)
  t.strictSame(await processesNaming(folder), [])
})

t.test('npm run stack restarts every process that ends', async (t) => {
  const system = await startStack(t)
  const jane = await system.createUser('jane', ['team'])
  for (const part of ['postgres', 'registry', 'nginx', 'between', 'image-manager-2']) {
    await restartProcess(system, part, 'SIGKILL')
    t.match(system.output(), `${part} ended (SIGKILL): restarting it`)
  }
  await pushSmallImage(system, jane, 'team/app', 'v1')

  const [, internal = ''] = /health +(http:\S+)\/NAME\/readyz/.exec(system.output()) ?? []
  const [, names = ''] = /where NAME is (.*)$/m.exec(system.output()) ?? []
  t.strictSame(
    names.split(', ').toSorted(),
    [...REPLICAS, 'storage-worker'].toSorted(),
    'the banner has every process',
  )
  for (const name of names.split(', ')) {
    t.equal((await fetch(`${internal}/${name}/readyz`)).status, 200, `${name} is healthy`)
    const metrics = await (await fetch(`${internal}/${name}/metrics`)).text()
    t.match(metrics, `service="${name.replace(/-\d+$/, '')}"`, `${name} has metrics`)
    t.equal(
      (await fetch(`${internal}/${name}/internal/revocations`)).status,
      404,
      'no other path of the internal port is served',
    )
  }
  t.match(
    await (await fetch(internal)).text(),
    '/auth-service-1/metrics\n',
    'the internal port lists its endpoints',
  )
  const logs = await readdir(join(system.dataDir, 'logs'))
  for (const log of ['access.log', 'registry.log', 'postgres.log', 'nginx.log']) t.ok(logs.includes(log), log)

  const file = join(system.dataDir, 'a-backup.gz')
  const npm = ['run', '--silent', 'backup', '--', file]
  await runCommand('npm', npm, { cwd: ROOT, env: { DATA_DIR: system.dataDir } })
  t.match(gunzipSync(await readFile(file)).toString(), '"username":"jane"', 'a running stack is backed up')
  t.equal(await system.stop(), 0)
  t.equal(await pidOf(system, 'postgres'), undefined)
})
