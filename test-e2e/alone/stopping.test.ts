import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { connect } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { createRegistryClient } from '../harness/registry-client.ts'
import { pidOf, restartProcess } from '../harness/stack-processes.ts'
import type { System } from '../harness/system.ts'
import { basic, startStack, tokenFor } from '../harness/system.ts'

const PULLS = 6
const MIB = 1 << 20
const BLOB_BYTES = 8 * MIB
const BYTES_PER_SECOND = MIB
const STEP_MS = 50
const DEADLINE_MS = 60_000
/** The kernel's buffers hold far more than a client reads in this time. */
const GRACE_MS = 500

/** A connection to the stack's TLS port that no client library pools or buffers. */
async function open(system: System): Promise<TLSSocket> {
  const { hostname, port } = new URL(system.url)
  const ca = await readFile(system.authority ?? '')
  const socket = connect({ host: hostname, port: Number(port), servername: hostname, ca })
  await once(socket, 'secureConnect')
  return socket
}

/** Requests a path with `Connection: close` and reads the response slowly. Calls `onStart` with the first bytes. */
async function pullSlowly(
  system: System,
  path: string,
  authorization: string,
  onStart: () => void,
): Promise<Buffer> {
  const socket = await open(system)
  const failed = once(socket, 'error').then(([error]) => Promise.reject(error))
  failed.catch(() => {})
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nConnection: close\r\n\r\n`,
  )
  const received: Buffer[] = []
  const read = async () => {
    let allowance = 0
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      if (received.push(chunk) === 1) onStart()
      for (allowance -= chunk.length; allowance < 0; allowance += (BYTES_PER_SECOND * STEP_MS) / 1000)
        await sleep(STEP_MS)
    }
  }
  const late = sleep(DEADLINE_MS, undefined, { ref: false }).then(() =>
    Promise.reject(new Error('the pull does not end')),
  )
  await Promise.race([read(), failed, late])
  const whole = Buffer.concat(received)
  return whole.subarray(whole.indexOf('\r\n\r\n') + 4)
}

t.test('slow pulls survive a stop of the registry and of nginx', async (t) => {
  const system = await startStack(t)
  const authorization = `Bearer ${await tokenFor(system, system.admin, 'repository:team/large:pull,push')}`
  const blob = randomBytes(BLOB_BYTES)
  const digest = await createRegistryClient(system.url, basic(system.admin)).pushBlob('team/large', blob)
  const path = `/v2/team/large/blobs/${digest}`

  const pullWhile = async (t: Test, stop: () => Promise<unknown>) => {
    let started = 0
    const running = Promise.withResolvers<void>()
    const onStart = () => {
      if (++started === PULLS) running.resolve()
    }
    const pulls = Array.from({ length: PULLS }, () => pullSlowly(system, path, authorization, onStart))
    const ended = Promise.allSettled(pulls)
    await Promise.race([running.promise, ended])
    let unfinished = PULLS
    for (const pull of pulls) void pull.finally(() => (unfinished -= 1)).catch(() => {})
    // A client's last bytes may still be in this process when its connection has ended: less than GRACE_MS of them.
    const stopped = stop().then(() => sleep(GRACE_MS, undefined, { ref: false }).then(() => unfinished))
    for (const [number, pull] of (await ended).entries()) {
      if (pull.status === 'rejected') t.fail(`pull ${number}: ${String(pull.reason)}`)
      else t.ok(pull.value.equals(blob), `pull ${number} is whole: ${pull.value.length} bytes`)
    }
    return stopped
  }

  await t.test('the registry finishes six pulls at 1 MB/s after SIGTERM', async (t) => {
    await pullWhile(t, () => restartProcess(system, 'registry', 'SIGTERM'))
  })

  await t.test(
    'nginx finishes six pulls at 1 MB/s after SIGQUIT, and lives until the clients have them',
    async (t) => {
      // A pod loses the kernel's send buffers when its last process ends.
      t.equal(
        await pullWhile(t, () => restartProcess(system, 'nginx', 'SIGQUIT')),
        0,
        'no pull is left when nginx ends',
      )
    },
  )

  await t.test('the registry and nginx serve again after their restart', async (t) => {
    t.ok(await pidOf(system, 'nginx'))
    const response = await fetch(`${system.url}${path}`, { headers: { authorization } })
    t.equal(response.status, 200)
    t.ok(Buffer.from(await response.arrayBuffer()).equals(blob))
  })
})
