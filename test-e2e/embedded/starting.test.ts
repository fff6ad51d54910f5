import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'
import { startAndEnd, startEndlessUpload } from '../harness/launcher.ts'
import { pushSmallImage } from '../harness/small-image.ts'
import { START, basic, startEmbedded } from '../harness/system.ts'

async function makeTemporary(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }).catch(() => undefined))
  return folder
}

/** Returns the processes with a folder in their environment, such as the registry of a system. */
async function processesOf(folder: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const environments = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')),
  )
  return pids.filter((_, index) => environments[index]?.includes(`ROOTDIRECTORY="${folder}`))
}

t.test('npm start: a restart keeps all data and prints no password', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const first = await startEmbedded(t, { dataDir })
  t.match(first.output(), /password .*shown this once/)
  t.match(
    first.output(),
    /docker login .*docker tag .*docker push .*curl .*\/user/s,
    'the banner has four commands to copy',
  )
  const jane = await first.createUser('jane', ['team'])
  const image = await pushSmallImage(first, jane, 'team/app', 'v1')
  t.equal(await first.stop(), 0)
  t.strictSame(await processesOf(dataDir), [], 'the registry process ended')

  const again = await startEmbedded(t, { dataDir, admin: first.admin })
  t.notMatch(again.output(), /shown this once/)
  const headers = { authorization: basic(jane) }
  const pull = await fetch(`${again.url}/v2/team/app/manifests/v1`, { headers })
  t.equal(await pull.text(), image.manifest)
})

t.test('npm start stops within 5 s during an upload', async (t) => {
  const system = await startEmbedded(t)
  const { ended } = await startEndlessUpload(system)
  // It would end itself with 1 after 4.5 s.
  t.equal(await system.stop(), 0)
  await ended
  t.strictSame(await processesOf(system.dataDir), [])
})

t.test('npm start prints one line for each problem that prevents a start', async (t) => {
  const system = await startEmbedded(t)
  const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const file = join(dataDir, 'a-file')
  await writeFile(file, '')
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }

  const free = { PORT: '0', DATA_DIR: join(dataDir, 'data') }
  const cases: [string, Record<string, string>, RegExp][] = [
    [
      'a port in use',
      { PORT: String(port), DATA_DIR: join(dataDir, 'data') },
      new RegExp(`^port ${port} .* is in use`),
    ],
    [
      'the internal port in use',
      { ...free, INTERNAL_PORT: String(port) },
      /use: free it, or set INTERNAL_PORT to/,
    ],
    [
      'an address of another machine',
      { ...free, HOST: '192.0.2.1' },
      /^HOST is 192\.0\.2\.1, which is not an address/,
    ],
    [
      'a host without an address',
      { ...free, HOST: 'no-such-host.invalid' },
      /^HOST is no-such-host\.invalid, which/,
    ],
    ['an invalid URL', { PUBLIC_URL: 'http://localhost:99999' }, /^ {2}PUBLIC_URL is not a valid URL/],
    [
      'an impossible data folder',
      { DATA_DIR: join(file, 'data') },
      /^DATA_DIR .*a-file\/data cannot be used/,
    ],
    ['a file system without folders', { DATA_DIR: '/proc/x' }, /^DATA_DIR \/proc\/x cannot be used: ENOENT/],
    [
      'unwritable signing keys',
      { ...free, SIGNING_KEYS_DIR: '/proc/x' },
      /^the signing keys in \/proc\/x cannot/,
    ],
    ['a folder in use', { DATA_DIR: system.dataDir, PORT: '0' }, /^DATA_DIR .*another registry-manager/],
    [
      "another program's folder",
      { ...free, DATA_DIR: dataDir },
      /cannot be used: it holds other files, such as a-file/,
    ],
    [
      'a missing registry',
      { REGISTRY_BINARY: '/no/such/file' },
      /^REGISTRY_BINARY: \/no\/such\/file does not exist$/,
    ],
    ['another program', { REGISTRY_BINARY: process.execPath }, /^REGISTRY_BINARY: .* is not distribution/],
    ['a registry that fails', { ...free, SIGNING_KEYS_DIR: '/dev/null' }, /\/dev\/null/],
  ]
  for (const [name, env, line] of cases) {
    const { code, lines } = await startAndEnd(START, env)
    t.equal(code, 1, name)
    t.match(
      lines.filter((text) => !text.startsWith('the configuration')),
      [line],
      name,
    )
  }
  const bad = await startAndEnd(START, { PORT: 'http', TOKEN_TTL_SECONDS: '5', LOG_LEVEL: 'loud' })
  t.equal(bad.code, 1)
  for (const name of ['PORT', 'TOKEN_TTL_SECONDS', 'LOG_LEVEL']) {
    t.ok(
      bad.lines.some((line) => line.includes(name)),
      `the message has ${name}`,
    )
  }
})

t.test('npm start ends with one line when the registry ends', async (t) => {
  const system = await startEmbedded(t)
  const [registry] = await processesOf(system.dataDir)
  if (registry === undefined) throw new Error('there is no registry process')
  process.kill(registry, 'SIGKILL')
  t.equal(await system.ended, 1)
  t.match(system.output(), /^the registry ended \(SIGKILL\); its log is .*registry\.log/m)
})

t.test('npm start finds a port in use before it writes anything', async (t) => {
  const dataDir = join(await makeTemporary(t), 'data')
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const { code } = await startAndEnd(START, { PORT: String(port), DATA_DIR: dataDir })
  t.equal(code, 1)
  t.notOk(existsSync(dataDir), 'the data folder was not created')
})

t.test('npm start serves health and metrics and writes logs where the banner says', async (t) => {
  const system = await startEmbedded(t, { env: { PUBLIC_ULR: 'http://localhost:1' } })
  const [, internal = ''] = /health +(http:\S+)\/NAME\/readyz/.exec(system.output()) ?? []
  t.match(internal, /^http:\/\/127\.0\.0\.1:\d+$/)
  const [, names = ''] = /where NAME is (.*)$/m.exec(system.output()) ?? []
  t.strictSame(names.split(', '), ['auth-service', 'image-manager', 'registry-proxy', 'storage-worker'])
  for (const name of names.split(', ')) {
    const health = await fetch(`${internal}/${name}/readyz`)
    t.match([health.status, await health.json()], [200, { status: 'ok' }], `${name} is healthy`)
    const metrics = await (await fetch(`${internal}/${name}/metrics`)).text()
    t.match(
      metrics,
      `http_request_duration_seconds_count{service="${name}"`.slice(0, 30),
      `${name} has metrics`,
    )
    t.match(metrics, `service="${name}"`, `${name} has its own service label`)
  }
  t.match(await (await fetch(`${internal}/readyz`)).json(), {
    status: 'ok',
    services: { 'image-manager': {} },
  })
  for (const path of ['/internal/revocations', '/auth-service/internal/revocations', '/auth-service/users']) {
    t.equal((await fetch(internal + path)).status, 404, `${path} is not served`)
  }
  const [, logs = ''] = /logs +(\S+)$/m.exec(system.output()) ?? []
  t.strictSame(await readdir(logs), ['registry.log'])
  t.match(system.output(), /PUBLIC_ULR is not a setting and has no effect: is PUBLIC_URL meant\?/)
  t.equal((await fetch(`${system.url}/`, { method: 'HEAD' })).status, 200, '/ accepts HEAD')
})

t.test('npm start prints no password if it is stopped early, and the next start prints it', async (t) => {
  const dataDir = join(await makeTemporary(t), 'data')
  const child = spawn(process.execPath, [START], {
    env: { ...process.env, DATA_DIR: dataDir, PORT: String(await freePort()), INTERNAL_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  const exit = once(child, 'exit')
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    if (output.includes('starting the registry')) child.kill('SIGTERM')
  })
  await exit
  t.match(output, 'stopping')
  t.notMatch(output, /password|serves at/)
  t.strictSame(await processesOf(dataDir), [], 'no registry process is left')
  const next = await startEmbedded(t, { dataDir })
  t.match(next.output(), /password .*shown this once/, 'the next start prints the password')
  const headers = { authorization: basic(next.admin) }
  t.equal((await fetch(`${next.url}/users`, { headers })).status, 200)
  t.notOk(
    (await readdir(join(dataDir, 'secrets'))).includes('first-password'),
    'the password is no longer stored',
  )
})
