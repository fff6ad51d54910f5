import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connectPostgres } from '@registry-manager/database'
import type { AnnounceResponse } from '@registry-manager/principal'
import type { Static } from 'typebox'
import type { Test } from 'tap'
import t from 'tap'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { SERVICE_CREDENTIAL, startFakeAuthService } from '../fixtures/fake-auth-service.ts'
import { MANIFEST } from '../fixtures/index-and-registry.ts'
import { createMemoryRegistry } from '../fixtures/memory-registry.ts'
import { startRegistryServer } from '../../../../packages/registry-client/test/fixtures/registry-server.ts'

/** The pod's memory limit is 512 MiB. */
const BOUND_MIB = 300
const PUSHES = 60
const FOLDER = fileURLToPath(new URL('../..', import.meta.url))

const large = (at: number) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      layers: [],
      annotations: { at: String(at), long: `ä${'x'.repeat(4 * 1024 * 1024 - 200)}` },
    }),
  )

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts the service with the command line of its `start` script. */
async function start(t: Test, env: Record<string, string>) {
  const { scripts } = JSON.parse(readFileSync(`${FOLDER}/package.json`, 'utf8')) as {
    scripts: { start: string }
  }
  const [command = '', ...args] = scripts.start.split(' ')
  const child = spawn(command === 'node' ? process.execPath : command, args, {
    cwd: FOLDER,
    env,
    stdio: 'ignore',
  })
  t.teardown(async () => {
    const exited = once(child, 'exit')
    if (child.exitCode === null && child.kill()) await exited
  })
  const url = `http://127.0.0.1:${env['INTERNAL_PORT']}`
  for (const deadline = Date.now() + 60_000; ; await sleep(100)) {
    const ready = await fetch(`${url}/readyz`).catch(() => undefined)
    if (ready?.status === 200) break
    if (Date.now() > deadline || child.exitCode !== null)
      throw new Error('image-manager is not ready after 60 s')
  }
  const peakMiB = () =>
    Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
  return { url, peakMiB }
}

t.test(
  '60 concurrent pushes of 4 MiB manifests keep image-manager below 300 MiB, and all succeed',
  async (t) => {
    t.setTimeout(600_000)
    const postgres = await startMigratedPostgres(t)
    if (postgres === undefined) return
    const db = connectPostgres(postgres.url)
    t.teardown(() => db.destroy())
    const auth = await startFakeAuthService({})
    t.teardown(auth.close)
    const registry = createMemoryRegistry()
    const server = await startRegistryServer(registry)
    t.teardown(server.close)
    const [port, internalPort] = [await freePort(), await freePort()]
    const { url, peakMiB } = await start(t, {
      HOST: '127.0.0.1',
      PORT: String(port),
      INTERNAL_PORT: String(internalPort),
      PUBLIC_URL: 'https://registry.test',
      TOKEN_SERVICE: 'registry.test',
      DATABASE_URL: postgres.url,
      AUTH_SERVICE_URL: auth.url,
      REGISTRY_URL: server.url,
      SERVICE_CREDENTIAL,
      LOG_LEVEL: 'silent',
    })
    const before = peakMiB()
    let refusals = 0
    const ask = (path: string, body: string | Uint8Array<ArrayBuffer>, type: string) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${SERVICE_CREDENTIAL}`, 'content-type': type },
        body,
        signal: AbortSignal.timeout(120_000),
      })
    const push = async (at: number) => {
      const raw = large(at)
      const query = new URLSearchParams({
        repository: 'team/app',
        reference: `v${at}`,
        type: MANIFEST,
        account: `account-${at % 8}`,
      })
      let id: string | undefined
      for (const deadline = Date.now() + 500_000; Date.now() < deadline; await sleep(1000)) {
        const response = await (
          id === undefined
            ? ask(`/internal/admissions?${query}`, new Uint8Array(raw), 'application/octet-stream')
            : ask(`/internal/admissions/${id}/record`, '{}', 'application/json')
        )
          // Retried like the proxy's client does after a connection reset.
          .catch(() => undefined)
        if (response === undefined) continue
        const answer = (await response.json()) as Static<typeof AnnounceResponse>
        // A slow database on a busy machine gives 503; retry.
        if (response.status === 503) continue
        // Background work recorded the push, because this request came too late.
        if (response.status === 404) return
        if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(answer)}`)
        if (id !== undefined) return
        if (answer.outcome === 'refused') {
          if (answer.code !== 'TOOMANYREQUESTS') throw new Error(answer.message)
          refusals += 1
        }
        if (answer.outcome !== 'admitted') continue
        registry.push(raw, MANIFEST, `v${at}`)
        id = answer.id
      }
      throw new Error(`manifest ${at} was not pushed within 500 s`)
    }
    await Promise.all(Array.from({ length: PUSHES }, (_, at) => push(at)))
    const { count } = await db
      .selectFrom('manifests')
      .select((eb) => eb.fn.countAll<string>().as('count'))
      .executeTakeFirstOrThrow()
    t.equal(Number(count), PUSHES)
    t.comment(`${refusals} requests were refused and retried`)
    t.ok(peakMiB() < BOUND_MIB, `${Math.round(before)} MiB before, ${Math.round(peakMiB())} MiB at most`)
  },
)
