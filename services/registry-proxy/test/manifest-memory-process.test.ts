import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { SERVICE_CREDENTIAL, startFakeAuthService } from './fixtures/fake-auth-service.ts'
import { startFakeImageManager } from './fixtures/fake-image-manager.ts'
import { UPLOAD_SECRET } from './fixtures/proxy.ts'
import { startRecordingUpstream } from './fixtures/recording-upstream.ts'
import { claims, signToken } from './fixtures/tokens.ts'

const MIB = 1 << 20
const SERVICE = fileURLToPath(new URL('..', import.meta.url))
/** The memory limit of a pod is 512 MiB. */
const BOUND_MIB = 300
const skip = process.platform === 'linux' ? false : 'memory is read from /proc'

async function freePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The peak memory of a process in MiB. Source: proc(5), `VmHWM`. */
async function peakOf(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

t.test('60 concurrent manifests of 4 MiB leave the process below 300 MiB', { skip }, async (t) => {
  const fakes = await Promise.all([startFakeAuthService(), startFakeImageManager(), startRecordingUpstream()])
  const [auth, images, upstream] = fakes
  t.teardown(() => Promise.all(fakes.map((fake) => fake.close())))
  // Slow storage, so that many pushes run at the same time. The body is discarded.
  upstream.respond = async (request, response) => {
    for await (const chunk of request) void chunk
    await sleep(200)
    response.writeHead(201, { 'content-length': 0 }).end()
  }
  const [port, internalPort] = [await freePort(), await freePort()]
  const { scripts } = JSON.parse(await readFile(`${SERVICE}/package.json`, 'utf8'))
  const [, ...flags] = scripts.start.split(' ')
  const child = spawn(process.execPath, flags, {
    cwd: SERVICE,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      // Without tap's loaders.
      NODE_OPTIONS: '',
      HOST: '127.0.0.1',
      PORT: String(port),
      INTERNAL_PORT: String(internalPort),
      PUBLIC_URL: 'https://registry.test',
      TOKEN_SERVICE: 'registry.test',
      AUTH_SERVICE_URL: auth.url,
      IMAGE_MANAGER_URL: images.url,
      REGISTRY_URL: upstream.url,
      UPLOAD_SECRET,
      SERVICE_CREDENTIAL,
      LOG_LEVEL: 'warn',
    },
  })
  const exit = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exit
  })
  const isReady = () =>
    fetch(`http://127.0.0.1:${port}/v2/`).then(
      () => true,
      () => false,
    )
  for (const deadline = Date.now() + 60_000; !(await isReady()); await sleep(50)) {
    if (Date.now() > deadline || child.exitCode !== null)
      throw new Error('the proxy does not serve within 60 s')
  }
  const idle = await peakOf(child.pid)

  const access = [repositoryAccess('team/app', 'pull', 'push')]
  const accounts = Array.from({ length: 4 }, (_, number) => {
    const subject = { sub: `user-${number}`, uid: `uid-${number}` }
    return `Bearer ${signToken(auth.key, claims(access, subject))}`
  })
  const path = '/v2/team/app/manifests/latest'
  const body = Buffer.alloc(4 * MIB, 'x')
  for (let round = 0; round < 2; round += 1) {
    const pushes = Array.from({ length: 60 }, (_, number) =>
      sendRequest(port, path, { method: 'PUT', authorization: accounts[number % accounts.length], body }),
    )
    const statuses = (await Promise.all(pushes)).map(({ status }) => status)
    images.announcedManifests.length = 0
    // On a busy machine some requests wait too long.
    t.ok(statuses.every((status) => status === 201 || status === 429))
    t.ok(statuses.filter((status) => status === 201).length >= 30, 'most manifests are pushed')
  }
  const peak = await peakOf(child.pid)
  t.comment(`peak: ${Math.round(idle)} MiB before, ${Math.round(peak)} MiB after`)
  t.ok(peak < BOUND_MIB, `${Math.round(peak)} MiB`)
})
