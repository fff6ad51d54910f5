import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'
import { processesNaming, startAndEnd, startEndlessUpload } from '../harness/launcher.ts'
import { pushSmallImage } from '../harness/small-image.ts'
import { REPLICAS, pidOf, restartPart } from '../harness/stack-parts.ts'
import { STACK, basic, startStack } from '../harness/system.ts'

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
  const all = { ...free, HTTP_PORT: String(await freePort()), DATA_DIR: dataDir }

  const cases: [string, Record<string, string>, RegExp][] = [
    ['the HTTPS port in use', { HTTPS_PORT: used }, new RegExp(`^port ${port} .* is in use: free it`)],
    [
      'the registry’s port in use',
      { REGISTRY_PORT: used },
      new RegExp(`^port ${port} .* is in use: free it`),
    ],
    ['the plain port in use', { HTTP_PORT: used }, new RegExp(`^port ${port} .* is in use: free it`)],
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
  for (const name of ['HTTPS_PORT', 'REPLICAS']) t.match(bad.lines.join('\n'), name, `${name} is named`)
  t.strictSame(await processesNaming(folder), [])
})

t.test('every part that dies is started again', async (t) => {
  const system = await startStack(t)
  const jane = await system.createUser('jane', ['team'])
  for (const part of ['postgres', 'registry', 'nginx', 'between', 'image-manager-2']) {
    await restartPart(system, part, 'SIGKILL')
    t.match(system.output(), `${part} ended (SIGKILL): starting it again`)
  }
  await pushSmallImage(system, jane, 'team/app', 'v1')
  t.equal(await system.stop(), 0)
  t.equal(await pidOf(system, 'postgres'), undefined)
})
