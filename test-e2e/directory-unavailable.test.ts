import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { Fault } from './harness/faulty-proxy.ts'
import { startFaultyProxy } from './harness/faulty-proxy.ts'
import { slapdIsMissing, startSlapd } from './harness/slapd.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { Credentials, System } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'
import { settingsFor } from './harness/test-directory.ts'

/** Each response must come within this time. The same limit applies to local accounts, on a busy machine. */
const MAX_MS = 3000
const FAULTS: readonly (readonly [name: string, fault: Fault | 'down', mayWork: boolean])[] = [
  ['slow (20 ms each way)', { delayMs: 20 }, true],
  ['very slow (2 s each way)', { delayMs: 2000 }, false],
  ['silent', 'black-hole', false],
  ['resetting connections', 'reset', false],
  ['down', 'down', false],
]

const passwordOf = (username: string) => `Password-of-${username}-1`

interface TimedResponse {
  readonly status: number
  readonly ms: number
  readonly retryAfter: string | null
  readonly text: string
}

/** Sends a request. Returns its response and the time that it took. */
async function timed(url: string, init: RequestInit): Promise<TimedResponse> {
  const begun = performance.now()
  const response = await fetch(url, init)
  const text = await response.text()
  const retryAfter = response.headers.get('retry-after')
  return { status: response.status, ms: performance.now() - begun, retryAfter, text }
}

/** Every way to sign in with a password, each with another account. */
function ways(system: System, admin: Credentials, next: () => Credentials): (() => Promise<TimedResponse>)[] {
  const shown = () => ({ headers: { authorization: basic(next()) } })
  const posted = (fields: Record<string, string>) => ({ method: 'POST', body: new URLSearchParams(fields) })
  const grant = { grant_type: 'password', service: system.host, client_id: 'test' }
  const byAdmin = { headers: { authorization: basic(admin) } }
  return [
    () => timed(`${system.url}/auth/v2/token?scope=repository:team/app:pull`, shown()),
    () => timed(`${system.url}/auth/v2/token`, posted({ ...grant, ...next() })),
    () => timed(`${system.url}/v2/team/app/manifests/v1`, shown()),
    () => timed(`${system.url}/image-manager/api/v1/repositories`, shown()),
    () => timed(`${system.url}/user`, shown()),
    () => timed(`${system.url}/user`, { ...posted({ username: 'newcomer', ad: 'true' }), ...byAdmin }),
  ]
}

function describe(responses: readonly TimedResponse[]): string {
  const times = responses.map(({ ms }) => ms).toSorted((one, other) => one - other)
  const at = (part: number) => Math.round(times[Math.floor((times.length - 1) * part)] ?? 0)
  const statuses = [...new Set(responses.map(({ status }) => status))].toSorted().join(', ')
  return `${responses.length} responses (${statuses}): p50 ${at(0.5)} ms, longest ${at(1)} ms`
}

const missing = await slapdIsMissing()

t.test('directory users get 503 in time while the directory is unavailable', { skip: missing }, async (t) => {
  const slapd = await startSlapd(t)
  const proxy = await startFaultyProxy(t, slapd)
  // Each account signs in only once: the measured passwords are in no credential cache.
  const rounds = FAULTS.map((_, round) => Array.from({ length: 40 }, (_, at) => `user-${round}-${at}`))
  const everybody = ['alice', 'spare', ...rounds.flat()]
  await slapd.addUsers(Object.fromEntries(everybody.map((name) => [name, passwordOf(name)])))
  const env = {
    ...settingsFor(slapd),
    DIRECTORY_URL: `ldaps://127.0.0.1:${proxy.port}`,
    DIRECTORY_REFRESH_SECONDS: '5',
  }
  const system = await startSystem(t, { env })
  const { admin } = system
  const bob = await system.createUser('bob', ['team'])
  const credentialsOf = (username: string): Credentials => ({ username, password: passwordOf(username) })
  for (const username of everybody) {
    const body = new URLSearchParams({ username, ad: 'true', namespaces: 'team' })
    const made = await fetch(`${system.url}/user`, {
      method: 'POST',
      headers: { authorization: basic(admin) },
      body,
    })
    if (made.status !== 201) throw new Error(`POST /user: ${made.status} ${await made.text()}`)
  }
  await pushSmallImage(system, bob, 'team/app', 'v1')
  const live = `Bearer ${await tokenFor(system, credentialsOf('alice'), 'repository:team/app:pull')}`
  const refresh = await offlineToken(system, credentialsOf('alice'))

  const signIn = (username: string) =>
    timed(`${system.url}/auth/v2/token?scope=repository:team/app:pull`, {
      headers: { authorization: basic(credentialsOf(username)) },
    })
  let busyMs = 0
  const local = async () => {
    const result = await timed(`${system.url}/auth/v2/token?scope=repository:team/app:pull`, {
      headers: { authorization: basic(bob) },
    })
    busyMs = Math.max(busyMs, result.ms)
    return result
  }
  const pull = () => timed(`${system.url}/v2/team/app/manifests/v1`, { headers: { authorization: live } })
  const refreshed = () => timed(`${system.url}/auth/v2/token`, { method: 'POST', body: refresh })

  const isUnavailable = (t: Test, { status, ms, retryAfter, text }: TimedResponse, what: string) => {
    t.equal(status, 503, `${what}: ${text}`)
    t.match(text, 'the directory is unavailable', what)
    t.match(retryAfter, /^[1-9]\d*$/, what)
    t.ok(ms < MAX_MS + busyMs, `${what}: ${Math.round(ms)} ms`)
  }

  for (const [round, [name, fault, mayWork]] of FAULTS.entries()) {
    await t.test(`responses come in time with a directory that is ${name}`, async (t) => {
      const users = [...(rounds[round] ?? [])]
      const next = () => users.shift() ?? 'spare'
      const before = [await signIn(next()), await signIn(next()), await signIn(next())]
      t.comment(`directory accounts before: ${describe(before)}`)
      t.ok(before.every(({ status }) => status === 200))
      if (fault === 'down') await slapd.stop()
      else proxy.fault = fault

      busyMs = 0
      const [all] = await Promise.all([
        Promise.all(ways(system, admin, () => credentialsOf(next())).map((ask) => ask())),
        local(),
      ])
      for (const [at, result] of all.entries()) {
        if (!mayWork) isUnavailable(t, result, `way ${at}`)
        else t.ok(result.ms < MAX_MS + busyMs, `way ${at}: ${result.status} in ${Math.round(result.ms)} ms`)
      }
      const concurrent = Promise.all(Array.from({ length: 20 }, () => signIn(next())))
      const locals: TimedResponse[] = []
      const pulls: TimedResponse[] = []
      const refreshes: TimedResponse[] = []
      for (let count = 0; count < 20; count += 1) {
        locals.push(await local())
        pulls.push(await pull())
        refreshes.push(await refreshed())
      }
      const results = await concurrent
      for (const result of results) {
        if (!mayWork) isUnavailable(t, result, 'one of many concurrent sign-ins')
        else t.equal(result.status, 200)
      }
      t.comment(`directory accounts, 20 at once: ${describe(results)}`)
      const again = [await signIn(next()), await signIn(next()), await signIn(next())]
      t.comment(`directory accounts after those: ${describe(again)}`)
      t.comment(`local accounts: ${describe(locals)}`)
      t.comment(`pulls by a live token of a directory account: ${describe(pulls)}`)
      t.comment(`refresh tokens of a directory account: ${describe(refreshes)}`)
      for (const result of [...locals, ...pulls, ...refreshes]) t.equal(result.status, 200)
      if (mayWork || fault === 'down') {
        proxy.fault = 'none'
        return
      }

      const one = next()
      for (let count = 0; count < 25; count += 1)
        isUnavailable(t, await signIn(one), 'a repeated sign-in of one account')
      // Longer than the refresh interval of directory accounts.
      await sleep(fault === 'reset' ? 7000 : 0)
      t.equal((await pull()).status, 200, 'no account was revoked')
      t.equal((await refreshed()).status, 200)
      proxy.fault = 'none'
      const begun = Date.now()
      let back = await signIn(one)
      while (back.status === 503 && Date.now() - begun < 40_000) {
        await sleep(100)
        back = await signIn(one)
      }
      t.equal(back.status, 200, 'no sign-in was counted as a wrong password')
      t.comment(`back ${((Date.now() - begun) / 1000).toFixed(1)} s after the directory`)
    })
  }
})

/** Returns the form that requests tokens with a refresh token. */
async function offlineToken(system: System, { username, password }: Credentials): Promise<URLSearchParams> {
  const form = { service: system.host, client_id: 'test' }
  const body = new URLSearchParams({
    ...form,
    grant_type: 'password',
    access_type: 'offline',
    username,
    password,
  })
  const response = await fetch(`${system.url}/auth/v2/token`, { method: 'POST', body })
  const { refresh_token } = (await response.json()) as { refresh_token: string }
  return new URLSearchParams({
    ...form,
    grant_type: 'refresh_token',
    refresh_token,
    scope: 'repository:team/app:pull',
  })
}
