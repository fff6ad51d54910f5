import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'
import type { Question } from './first-answers.ts'
import { findWrongAnswers } from './first-answers.ts'
import type { Listener } from './listeners.ts'
import { pushSmallImage } from './small-image.ts'
import type { System } from './system.ts'
import { basic, tokenFor } from './system.ts'

/** Starts of each test of first answers. More for a measurement: `STARTS=100 tap run …`. */
export const STARTS = Number(process.env['STARTS'] ?? 2)

const ADMIN = { username: 'admin', password: 'the-first-password' }
const IMAGE = '/v2/team/app/manifests/v1'

/** A start whose answers are known beforehand. */
export interface KnownStart {
  readonly dataDir: string
  readonly admin: typeof ADMIN
  /** The same at both starts, because tokens name the host that they are for. */
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
 * Starts a system, and then again on the same data, `STARTS` times in total. Fails the test for each answer that
 * `startAndAsk` reports as wrong.
 */
export function testStarts(
  t: Test,
  startAndAsk: (t: Test, start: KnownStart) => Promise<{ system: System; wrong: readonly string[] }>,
): void {
  const title = `the first 200 or 401 of each port is right, in ${STARTS} starts`
  t.test(title, { timeout: STARTS * 120_000 }, async (t) => {
    for (let number = 1; number <= STARTS; number += 2) {
      await t.test(`starts ${number} and ${number + 1}`, async (t) => {
        const dataDir = await mkdtemp(join(tmpdir(), 'registry-manager-'))
        // Added before the system's, so it runs after them.
        t.teardown(() => rm(dataDir, { recursive: true, force: true }))
        const ports = {
          public: await freePort(),
          second: await freePort(),
          plain: await freePort(),
          internal: await freePort(),
        }
        const start = { dataDir, admin: ADMIN, ports }
        const { system, wrong } = await startAndAsk(t, { ...start, before: undefined })
        t.strictSame(wrong, [], 'a new installation')
        const before = await makeHistory(system)
        await system.stop()
        const again = await startAndAsk(t, { ...start, before })
        t.strictSame(again.wrong, [], 'a restart')
        await again.system.stop()
      })
    }
  })
}

/** An image, a token that reads it, and the token of an account that was deleted. */
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

type Asked = Omit<Question, 'port' | 'authority'>

/** Asks a public port of a service, or one in front of all services. Returns the wrong answers. */
export function askPort(
  start: KnownStart,
  service: Listener['name'] | 'all',
  port: number,
  authority?: string,
): Promise<string[]> {
  return findWrongAnswers(questionsFor(service, start).map((question) => ({ ...question, port, authority })))
}

/** Asks the internal port of a service. Returns the wrong answers. */
export function askInternalPort(
  { dataDir }: KnownStart,
  { name, internalPort }: Listener,
): Promise<string[]> {
  if (internalPort === undefined) return Promise.resolve([])
  const credential = readFileSync(join(dataDir, 'secrets', 'service-credential'), 'utf8').trim()
  const paths = { 'auth-service': ['/internal/revocations'], 'image-manager': ['/internal/ended-globals'] }
  const inside = name === 'auth-service' || name === 'image-manager' ? paths[name] : []
  const probes = ['/readyz', '/metrics'].map((path) => ({ port: internalPort, path, expected: 200 as const }))
  const asked = inside.flatMap((path): Question[] => [
    { port: internalPort, path, headers: { authorization: `Bearer ${credential}` }, expected: 200 },
    { port: internalPort, path, expected: 401 },
  ])
  return findWrongAnswers([...probes, ...asked])
}

/** What is asked at a public port of a service, or at one in front of all services. */
function questionsFor(service: Listener['name'] | 'all', { admin, before }: KnownStart): readonly Asked[] {
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
    // The registry knows signatures, not revocations.
    registry: [
      { path: '/v2/', expected: 401 },
      ...(before === undefined
        ? []
        : ([{ path: '/v2/team/app/tags/list', headers: as(before.token), expected: 200 }] as const)),
    ],
  } as const satisfies Record<Listener['name'], readonly Asked[]>
  return service === 'all'
    ? [...ofService['auth-service'], ...ofService['image-manager'], ...ofService['registry-proxy']]
    : ofService[service]
}
