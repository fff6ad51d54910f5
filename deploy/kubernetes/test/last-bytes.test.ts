import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { parse } from 'yaml'
import { findRegistry } from '../../local/registry-binary.js'
import type { NetworkNamespace } from './fixtures/network-namespace.ts'
import { makeNamespace, namespacesAreMissing, terminate } from './fixtures/network-namespace.ts'

const LINGER = new URL('../base/linger.yaml', import.meta.url)
/** More than the kernel's buffers hold, so that the registry is still writing when it gets SIGTERM. */
const BLOB = randomBytes(16 * 2 ** 20)
const DIGEST = `sha256:${createHash('sha256').update(BLOB).digest('hex')}`
const REGISTRY = { version: 0.1, http: { addr: '0.0.0.0:5000' }, storage: { filesystem: {} } }

const registry = (() => {
  try {
    return findRegistry(process.env, t.comment).REGISTRY_BINARY ?? process.env['REGISTRY_BINARY']
  } catch {
    return undefined
  }
})()
const missing = (await namespacesAreMissing()) || (registry === undefined && 'no registry binary')
const [sidecar] = parse(readFileSync(LINGER, 'utf8')).spec.template.spec.initContainers
const [shell, ...script] = sidecar.command as [string, ...string[]]

/** A pod with a registry that holds the blob, with or without the sidecar. */
async function startPod(t: Test, at: number, withSidecar: boolean) {
  const pod = await makeNamespace(t, at)
  const folder = t.testdir()
  const config = join(folder, 'config.yml')
  writeFileSync(config, JSON.stringify(REGISTRY))
  const server = pod.start(registry ?? '', ['serve', config], {
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: folder,
    REGISTRY_HTTP_DRAINTIMEOUT: '50s',
    REGISTRY_LOG_LEVEL: 'error',
    OTEL_TRACES_EXPORTER: 'none',
  })
  const lingering = withSidecar ? pod.start(shell, script) : undefined
  const url = `http://${pod.address}:5000`
  for (let left = 200; (await fetch(`${url}/v2/`).catch(() => undefined))?.status !== 200; left -= 1) {
    if (left === 0) throw new Error('the registry did not serve within 20 s')
    await sleep(100)
  }
  const upload = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const location = new URL(upload.headers.get('location') ?? '', url)
  location.searchParams.set('digest', DIGEST)
  const { status } = await fetch(location, { method: 'PUT', body: BLOB })
  t.equal(status, 201, 'the registry holds the blob')
  /** Stops the pod as the kubelet does: containers first, then sidecars, then the network. */
  const end = async () => {
    t.equal((await terminate(server, 60_000)).code, 0, 'the registry exited before its grace period ended')
    const ended = lingering && (await terminate(lingering, 30_000))
    await pod.remove()
    return ended
  }
  return { pod, end }
}

/** Pause of the client after each chunk: about 1.5 MB/s, so that the kernel holds seconds of data at the end. */
const PAUSE_MS = 40

/** Pulls the blob slowly. Resolves once the connection is closed, or no byte arrived for 4 s. */
async function pullSlowly({ address }: NetworkNamespace): Promise<{ received: number; closed: boolean }> {
  const socket = connect({ host: address, port: 5000 })
  socket.write(
    `GET /v2/team/app/blobs/${DIGEST} HTTP/1.1\r\nHost: ${address}:5000\r\nConnection: close\r\n\r\n`,
  )
  let received = 0
  socket.setTimeout(4000, () => socket.destroy(new Error('nothing came for 4 s')))
  try {
    for await (const chunk of socket) {
      const text = (chunk as Buffer).toString('latin1')
      const head = received === 0 ? text.indexOf('\r\n\r\n') + 4 : 0
      received += (chunk as Buffer).length - head
      await sleep(PAUSE_MS)
    }
    return { received, closed: true }
  } catch {
    return { received, closed: false }
  }
}

t.test(
  'a slow pull from a registry pod that stops is complete, because the sidecar keeps the network for 10 s',
  { skip: missing },
  async (t) => {
    const { pod, end } = await startPod(t, 0, true)
    const pull = pullSlowly(pod)
    await sleep(300)
    const ended = await end()
    t.same(await pull, { received: BLOB.length, closed: true })
    t.match(ended, { code: 0 })
    t.ok((ended?.milliseconds ?? 0) >= 10_000, `the sidecar ended ${ended?.milliseconds} ms after SIGTERM`)
  },
)

t.test(
  'without the sidecar, the end of a slow pull from a registry pod that stops is lost',
  { skip: missing },
  async (t) => {
    const { pod, end } = await startPod(t, 1, false)
    const pull = pullSlowly(pod)
    await sleep(300)
    await end()
    const { received, closed } = await pull
    t.equal(closed, false, 'the connection is never closed')
    t.ok(received < BLOB.length, `${received} of ${BLOB.length} bytes came`)
  },
)
