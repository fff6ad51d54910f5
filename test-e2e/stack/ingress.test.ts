import { once } from 'node:events'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { processesNaming } from '../harness/launcher.ts'
import type { Credentials, System } from '../harness/system.ts'
import { basic, startStack } from '../harness/system.ts'

const system = await startStack(t, { env: { REPLICAS: '1' } })

/** Returns the addresses that a process listens on, or none if the process has ended. */
function listeningOn(pid: number): string[] {
  try {
    return listeningNow(pid)
  } catch {
    return []
  }
}

/** Returns addresses such as `0100007F:1F90`. Source: proc_net_tcp(5); state 0A is LISTEN. */
function listeningNow(pid: number): string[] {
  const inodes = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
    } catch {
      return undefined
    }
  })
  const sockets = new Set(inodes)
  const lines = ['tcp', 'tcp6'].flatMap((family) =>
    readFileSync(`/proc/${pid}/net/${family}`, 'utf8').split('\n').slice(1),
  )
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(inode))
    .map(([, address = '']) => address)
}

t.test('other machines can connect only to the ports with TLS', async (t) => {
  const pids = await processesNaming(system.dataDir)
  const addresses = new Set(pids.flatMap(listeningOn))
  t.ok(addresses.size > 10, 'every process listens on a port')
  const open = [...addresses].filter((address) => !address.startsWith('0100007F:')).toSorted()
  const ports = [system.host, system.registryHost].map((host) => Number(host.split(':')[1]))
  const expected = ports.map((port) => `00000000:${port.toString(16).toUpperCase().padStart(4, '0')}`)
  t.strictSame(open, expected.toSorted())
})

t.test('internal endpoints cannot be reached through any public port', async (t) => {
  const { plainUrl, url, registryHost } = system
  const paths = [
    '/livez',
    '/readyz',
    '/metrics',
    '/internal/revocations',
    '/internal/accounts/x',
    '/internal/scopes',
  ]
  const headers = {
    authorization: `Bearer ${readFileSync(`${system.dataDir}/secrets/service-credential`, 'utf8')}`,
  }
  for (const base of [url, `https://${registryHost}`, plainUrl]) {
    for (const path of paths) {
      for (const spelt of [path, `/v2/..${path}`, `/image-manager/..${path}`, `//${path}`, `/%2e${path}`]) {
        const { status } = await fetch(base + spelt, { headers })
        t.ok([400, 401, 404].includes(status), `${spelt} responds ${status}`)
      }
    }
  }
})

/** Returns the status of a GET from an address of this machine. */
async function statusFrom(
  { url, authority = '' }: System,
  localAddress: string,
  path: string,
  credentials: Credentials,
  headers: Record<string, string> = {},
): Promise<number> {
  const asking = request(new URL(path, url), {
    ca: readFileSync(authority),
    family: 4,
    localAddress,
    agent: false,
    headers: { authorization: basic(credentials), ...headers },
  }).end()
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode ?? 0
}

t.test(
  'failed sign-ins count for the address of the connection, whatever address the client claims',
  async (t) => {
    const ways = {
      anna: '/auth/v2/token',
      berta: '/v2/',
      clara: '/image-manager/api/v1/repositories',
      dora: '/user',
    }
    const OWN_ADDRESS = '127.0.0.3'
    const from = (address: string, path: string, as: Credentials, claim?: string) =>
      statusFrom(
        system,
        address,
        path,
        as,
        claim === undefined ? {} : { 'x-forwarded-for': claim, forwarded: `for=${claim}` },
      )
    const people: Credentials[] = []
    for (const [username, path] of Object.entries(ways)) {
      const user = await system.createUser(username, ['team'])
      people.push(user)
      t.equal(await from(OWN_ADDRESS, path, user), 200, `${path}: the first sign-in succeeds`)
    }
    // Replicas learn within five seconds which addresses an account uses.
    await sleep(6000)
    for (const [index, [username, path]] of Object.entries(ways).entries()) {
      const [user, attacker] = [people[index]!, `127.0.1.${index + 1}`]
      const wrong = { username, password: 'not-this-one' }
      const statuses: number[] = []
      for (let number = 1; number <= 25; number += 1) {
        statuses.push(await from(attacker, path, wrong, `203.0.113.${number}`))
      }
      t.same(new Set(statuses.slice(0, 18)), new Set([401]), `${path}: wrong passwords are refused`)
      t.equal(statuses.at(-1), 429, `${path}: too many wrong passwords are rate limited`)
      t.equal(
        await from(attacker, path, { ...wrong, password: 'another' }, OWN_ADDRESS),
        429,
        `${path}: a forged X-Forwarded-For does not evade the limit`,
      )
      t.equal(
        await from(OWN_ADDRESS, path, user),
        200,
        `${path}: the user can still sign in from the usual address`,
      )
    }
  },
)
