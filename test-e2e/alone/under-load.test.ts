import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { ensureCommands } from '../harness/debian-packages.ts'
import { dockerIsMissing, startDockerEngine } from '../harness/docker-engine.ts'
import type { Load, Work } from '../harness/load.ts'
import { dockerWork, skopeoWork, startLoad } from '../harness/load.ts'
import { createRegistryClient } from '../harness/registry-client.ts'
import { REPLICAS, restartProcess } from '../harness/stack-processes.ts'
import type { System } from '../harness/system.ts'
import { basic, startStack, tokenFor } from '../harness/system.ts'

const ROTATE = fileURLToPath(new URL('../../services/auth-service/src/rotate-keys.ts', import.meta.url))
const missing = (await dockerIsMissing()) || (await ensureCommands({ skopeo: 'skopeo' }))

async function isFaultless(t: Test, { dataDir }: System, { done, failures }: Load) {
  for (const [kind, count] of done) t.ok(count > 0, `${kind}: ${count} times`)
  t.strictSame(failures, [], 'no request failed')
  if (failures.length === 0) return
  const log = await readFile(join(dataDir, 'logs', 'access.log'), 'utf8')
  for (const line of log.split('\n').filter((line) => /"status":"5/.test(line))) t.comment(line)
}

t.test('the stack serves clients during restarts and key rotations', { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'under-load-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = await startStack(t)
  const alice = await system.createUser('alice', ['team'])
  const engines = [await startDockerEngine(t), await startDockerEngine(t)] as const
  const inFolder = (name: string) => mkdtemp(join(folder, name))
  const docker = await dockerWork(system, alice, await inFolder('docker-'), engines)
  const load = async (t: Test, kinds: Readonly<Record<string, Work>>, pauseMs?: number) => {
    const started = startLoad(kinds, pauseMs)
    t.teardown(started.stop)
    await started.waitForMore(1)
    return started
  }

  /** It throws if the process does not serve again. The duration is not asserted: a busy machine needs longer. */
  const kill = async (t: Test, part: string) => {
    const milliseconds = await restartProcess(system, part, 'SIGKILL')
    t.pass(`${part} serves again after ${milliseconds} ms`)
  }

  await t.test('a killed process of a service is started again', async (t) => {
    for (const replica of REPLICAS) await kill(t, replica)
  })

  await t.test('no push or pull fails while every process restarts in turn', async (t) => {
    const skopeo = await skopeoWork(system, alice, await inFolder('rolling-'))
    const running = await load(t, { ...skopeo, ...docker, 'slow upload': () => uploadSlowly(basic(alice)) })
    for (const replica of REPLICAS) {
      t.comment(`${replica} took ${await restartProcess(system, replica, 'SIGTERM')} ms`)
    }
    await running.waitForMore(1)
    await running.stop()
    await isFaultless(t, system, running)
  })

  /** An upload that takes some seconds: it is in progress when its process gets SIGTERM. */
  async function uploadSlowly(
    authorization: string,
    parts = 30,
    onPart: (number: number) => unknown = () => {},
  ) {
    const headers = { authorization, 'content-type': 'application/octet-stream' }
    const begun = await fetch(`${system.url}/v2/team/slow/blobs/uploads/`, { method: 'POST', headers })
    if (begun.status !== 202) throw new Error(`POST: ${begun.status} ${await begun.text()}`)
    const slow = async function* () {
      for (let number = 0; number < parts; number += 1) {
        onPart(number)
        yield new Uint8Array(1000)
        await sleep(100)
      }
    }
    const patch = {
      method: 'PATCH',
      headers,
      body: ReadableStream.from(slow()),
      duplex: 'half',
    } as RequestInit
    const done = await fetch(new URL(begun.headers.get('location') ?? '', system.url), patch)
    if (done.status !== 202) throw new Error(`PATCH: ${done.status} ${await done.text()}`)
    const range = done.headers.get('range')
    if (range !== `0-${parts * 1000 - 1}`) throw new Error(`it has ${range}`)
  }

  await t.test('no token is refused while the signing keys rotate', async (t) => {
    const keys = new Set<string>()
    const held = `Bearer ${await tokenFor(system, alice, 'repository:team/pulled-by-docker:pull')}`
    const statusWith = async (authorization: string) => {
      const path = '/v2/team/pulled-by-docker/manifests/1'
      const response = await fetch(`${system.url}${path}`, { headers: { authorization } })
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`${response.status} with a token`)
    }
    const skopeo = await skopeoWork(system, alice, await inFolder('rotation-'))
    const running = await load(t, {
      ...skopeo,
      ...docker,
      'a new token': async () => {
        const token = await tokenFor(system, alice, 'repository:team/pulled-by-docker:pull')
        keys.add(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid)
        await statusWith(`Bearer ${token}`)
      },
      'a token from before': () => statusWith(held),
      'a password': () => statusWith(basic(alice)),
    })
    const env = { ...process.env, SIGNING_KEYS_DIR: join(system.dataDir, 'signing-keys') }
    await promisify(execFile)(process.execPath, [ROTATE], { env })
    const end = Date.now() + 30_000
    while (keys.size < 2 && Date.now() < end) await running.waitForMore(1)
    await running.waitForMore(3)
    await running.stop()
    t.equal(keys.size, 2, 'both keys signed tokens')
    await isFaultless(t, system, running)
  })

  const withRetries = async (name: string) =>
    skopeoWork(system, alice, await inFolder(name), ['--retry-times=3'])
  await t.test('clients succeed with retries while processes of services are killed', async (t) => {
    // The restarting process needs CPU time: the clients run on the same machine.
    const running = await load(t, { ...(await withRetries('kill-')), ...docker }, 200)
    for (const replica of REPLICAS) {
      await kill(t, replica)
      await running.waitForMore(1)
    }
    await running.stop()
    await isFaultless(t, system, running)
  })

  await t.test('uploads and downloads continue after every registry-proxy is killed', async (t) => {
    const scope = 'repository:team/large:pull,push repository:team/slow:pull,push'
    const authorization = `Bearer ${await tokenFor(system, alice, scope)}`
    const blob = randomBytes(32 << 20)
    const digest = await createRegistryClient(system.url, authorization).pushBlob('team/large', blob)
    const url = `${system.url}/v2/team/large/blobs/${digest}`
    const response = await fetch(url, { headers: { authorization } })
    const received: Buffer[] = []
    const [isUp, isDown] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const download = async () => {
      for await (const chunk of response.body ?? []) {
        received.push(Buffer.from(chunk))
        if (received.length === 10) isDown.resolve()
        if (received.length < 200) await sleep(20)
      }
    }
    const upload = uploadSlowly(authorization, 60, (number) => number === 10 && isUp.resolve())
    const killAll = async () => {
      await Promise.all([isUp.promise, isDown.promise])
      await Promise.all(['registry-proxy-1', 'registry-proxy-2'].map((part) => kill(t, part)))
    }
    await Promise.all([upload, download(), killAll()])
    t.ok(Buffer.concat(received).equals(blob), 'the download and the upload are complete')
  })

  // The stack has one process of each, and clients do not retry every request: requests fail until the process is back,
  // and none afterwards.
  await t.test('nginx, the registry and Postgres serve again after they are killed', async (t) => {
    const during = await load(t, await withRetries('around-'))
    for (const part of ['registry', 'postgres', 'between', 'nginx']) await kill(t, part)
    await during.stop()
    const after = await load(t, { ...(await withRetries('after-')), ...docker })
    await after.stop()
    await isFaultless(t, system, after)
  })
})
