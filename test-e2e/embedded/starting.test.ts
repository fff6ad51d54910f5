import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startAndEnd, startEndlessUpload } from '../harness/launcher.ts'
import { pushSmallImage } from '../harness/small-image.ts'
import { START, basic, startEmbedded } from '../harness/system.ts'

/** Processes that were given a folder in their environment: the registry of a system, say. */
async function processesOf(folder: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const environments = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')),
  )
  return pids.filter((_, index) => environments[index]?.includes(`ROOTDIRECTORY=${folder}`))
}

t.test('a restart finds everything again, and shows no password', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const first = await startEmbedded(t, { dataDir })
  t.match(first.output(), /password .*shown this once/)
  t.match(first.output(), /docker login .*docker tag .*docker push .*curl .*\/user/s, 'four commands to copy')
  const jane = await first.createUser('jane', ['team'])
  const image = await pushSmallImage(first, jane, 'team/app', 'v1')
  t.equal(await first.stop(), 0)
  t.strictSame(await processesOf(dataDir), [], 'the registry beside it ended too')

  const again = await startEmbedded(t, { dataDir, admin: first.admin })
  t.notMatch(again.output(), /shown this once/)
  const headers = { authorization: basic(jane) }
  const pull = await fetch(`${again.url}/v2/team/app/manifests/v1`, { headers })
  t.equal(await pull.text(), image.manifest)
})

t.test('it stops within 5 s while a client is in the middle of an upload', async (t) => {
  const system = await startEmbedded(t)
  const { ended } = await startEndlessUpload(system)
  const begin = Date.now()
  t.equal(await system.stop(), 0)
  t.ok(Date.now() - begin < 5000, 'in time')
  await ended
  t.strictSame(await processesOf(system.dataDir), [])
})

t.test('what keeps it from starting is told in one line', async (t) => {
  const system = await startEmbedded(t)
  const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const file = join(dataDir, 'a-file')
  await writeFile(file, '')
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }

  const cases: [string, Record<string, string>, RegExp][] = [
    ['a port in use', { PORT: String(port), DATA_DIR: dataDir }, new RegExp(`^port ${port} .* is in use`)],
    ['a folder that cannot be', { DATA_DIR: join(file, 'data') }, /^DATA_DIR .*a-file\/data cannot be used/],
    ['a folder in use', { DATA_DIR: system.dataDir, PORT: '0' }, /^DATA_DIR .*another registry-manager/],
    [
      'no such registry',
      { REGISTRY_BINARY: '/no/such/file' },
      /^REGISTRY_BINARY: \/no\/such\/file does not exist$/,
    ],
    ['something else', { REGISTRY_BINARY: process.execPath }, /^REGISTRY_BINARY: .* is not distribution/],
    ['a registry that fails', { DATA_DIR: dataDir, PORT: '0', SIGNING_KEYS_DIR: '/dev/null' }, /\/dev\/null/],
  ]
  for (const [name, env, line] of cases) {
    const { code, lines } = await startAndEnd(START, env)
    t.equal(code, 1, name)
    t.match(lines, [line], name)
  }
  const bad = await startAndEnd(START, { PORT: 'http', TOKEN_TTL_SECONDS: '5', LOG_LEVEL: 'loud' })
  t.equal(bad.code, 1)
  for (const name of ['PORT', 'TOKEN_TTL_SECONDS', 'LOG_LEVEL']) {
    t.ok(
      bad.lines.some((line) => line.includes(name)),
      `${name} is named`,
    )
  }
})

t.test('a registry that dies ends it, with one line', async (t) => {
  const system = await startEmbedded(t)
  const [registry] = await processesOf(system.dataDir)
  if (registry === undefined) throw new Error('there is no registry process')
  process.kill(registry, 'SIGKILL')
  t.equal(await system.ended, 1)
  t.match(system.output(), /^the registry beside us ended/m)
})
