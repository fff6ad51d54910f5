import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'
import type { Question } from './first-responses.ts'
import { findWrongResponses } from './first-responses.ts'
import type { Listener } from './listeners.ts'
import { pushSmallImage } from './small-image.ts'
import type { System } from './system.ts'
import { basic, tokenFor } from './system.ts'

/** The number of starts in each test of first responses. `STARTS=100 tap run …` measures more. */
export const STARTS = Number(process.env['STARTS'] ?? 2)

const ADMIN = { username: 'admin', password: 'the-first-password' }
const IMAGE = '/v2/team/app/manifests/v1'

/** A start with known responses. */
export interface KnownStart {
  readonly dataDir: string
  readonly admin: typeof ADMIN
  /** Both starts have the same ports, because tokens contain the host. */
  readonly ports: {
    readonly public: number
    readonly second: number
    readonly plain: number
    readonly internal: number
  }
  /** Undefined for a new installation. */
  readonly before: { readonly token: string; readonly deadToken: string } | undefined
}

/**
 * Starts a system and restarts it on the same data, `STARTS` times in total. Fails the test for each wrong response
 * that `startAndAsk` reports.
 */
export function testStarts(
  t: Test,
  startAndAsk: (t: Test, start: KnownStart) => Promise<{ system: System; wrong: readonly string[] }>,
): void {
  const title = `the first 200 or 401 of each port is right, in ${STARTS} starts`
  t.test(title, { timeout: STARTS * 120_000 }, async (t) => {
    for (let number = 1; number <= STARTS; number += 2) {
      await t.test(`start ${number} and restart ${number + 1} give right responses`, async (t) => {
        const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
        // Teardowns run in reverse order: the system's run before this one.
        t.teardown(() => rm(dataDir, { recursive: true, force: true }))
        const ports = {
          public: await freePort(),
          second: await freePort(),
          plain: await freePort(),
          internal: await freePort(),
        }
        const start = { dataDir, admin: ADMIN, ports }
        const { system, wrong } = await startAndAsk(t, { ...start, before: undefined })
        t.strictSame(wrong, [], 'all responses of a new installation are right')
        const before = await makeHistory(system)
        await system.stop()
        const again = await startAndAsk(t, { ...start, before })
        t.strictSame(again.wrong, [], 'all responses after a restart are right')
        await again.system.stop()
      })
    }
  })
}

/** Pushes an image. Returns a token that reads it, and the token of a deleted account. */
async function makeHistory(system: System) {
  const scope = 'repository:team/app:pull'
  const [jane, bob] = [await system.createUser('jane', ['team']), await system.createUser('bob', ['team'])]
  await pushSmallImage(system, jane, 'team/app', 'v1')
  const before = {
    token: await tokenFor(system, jane, scope),
    deadToken: await tokenFor(system, bob, scope),
  }
  const headers = { authorization: basic(system.admin) }
  const deleted = await fetch(`${system.url}/user?username=bob`, { method: 'DELETE', headers })
  if (!deleted.ok) throw new Error(`DELETE /user: ${deleted.status} ${await deleted.text()}`)
  return before
}

type PublicQuestion = Omit<Question, 'port' | 'authority'>

/** Sends requests to a public port of a service, or to one in front of all services. Returns the wrong responses. */
export function askPort(
  start: KnownStart,
  service: Listener['name'] | 'all',
  port: number,
  authority?: string,
): Promise<string[]> {
  return findWrongResponses(
    questionsFor(service, start).map((question) => ({ ...question, port, authority })),
  )
}

/** Sends requests to the internal port of a service. Returns the wrong responses. */
export function askInternalPort(
  { dataDir }: KnownStart,
  { name, internalPort }: Listener,
): Promise<string[]> {
  if (internalPort === undefined) return Promise.resolve([])
  const credential = readFileSync(join(dataDir, 'secrets', 'service-credential'), 'utf8').trim()
  const paths = { 'auth-service': ['/internal/revocations'], 'image-manager': ['/internal/ended-globals'] }
  const inside = name === 'auth-service' || name === 'image-manager' ? paths[name] : []
  const probes = ['/readyz', '/metrics'].map((path) => ({ port: internalPort, path, expected: 200 as const }))
  const internal = inside.flatMap((path): Question[] => [
    { port: internalPort, path, headers: { authorization: `Bearer ${credential}` }, expected: 200 },
    { port: internalPort, path, expected: 401 },
  ])
  return findWrongResponses([...probes, ...internal])
}

/** The requests for a public port of a service, or for one in front of all services. */
function questionsFor(
  service: Listener['name'] | 'all',
  { admin, before }: KnownStart,
): readonly PublicQuestion[] {
  const asAdmin = { authorization: basic(admin) }
  const as = (token: string) => ({ authorization: `Bearer ${token}` })
  const ofService = {
    'auth-service': [
      { path: '/auth/v2/token', headers: asAdmin, expected: 200 },
      { path: '/users', headers: asAdmin, expected: 200 },
      { path: '/users', expected: 401 },
    ],
    'image-manager': [
      { path: '/image-manager/api/v1/repositories', headers: asAdmin, expected: 200 },
      { path: '/image-manager/api/v1/repositories', expected: 401 },
      ...(before === undefined
        ? []
        : ([
            {
              path: '/image-manager/api/v1/repositories/team/app',
              headers: as(before.token),
              expected: 200,
            },
            {
              path: '/image-manager/api/v1/repositories/team/app',
              headers: as(before.deadToken),
              expected: 401,
            },
          ] as const)),
    ],
    'registry-proxy': [
      { path: '/v2/', headers: asAdmin, expected: 200 },
      { path: '/v2/_catalog', headers: asAdmin, expected: 200 },
      { path: '/v2/', expected: 401 },
      ...(before === undefined
        ? []
        : ([
            { path: IMAGE, headers: asAdmin, expected: 200 },
            { path: IMAGE, headers: as(before.token), expected: 200 },
            { path: '/v2/team/app/tags/list', headers: as(before.token), expected: 200 },
            { path: IMAGE, headers: as(before.deadToken), expected: 401 },
          ] as const)),
    ],
    // The registry verifies signatures and does not know revocations.
    registry: [
      { path: '/v2/', expected: 401 },
      ...(before === undefined
        ? []
        : ([{ path: '/v2/team/app/tags/list', headers: as(before.token), expected: 200 }] as const)),
    ],
  } as const satisfies Record<Listener['name'], readonly PublicQuestion[]>
  return service === 'all'
    ? [...ofService['auth-service'], ...ofService['image-manager'], ...ofService['registry-proxy']]
    : ofService[service]
}
