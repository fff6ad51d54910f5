import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { answerEverywhere } from './everywhere.ts'
import type { Credentials, System } from './system.ts'
import { basic, startSystem, tokenFor } from './system.ts'
import type { TestDirectory } from './test-directory.ts'
import { settingsFor } from './test-directory.ts'

export const REFRESH_SECONDS = 5
const PEOPLE = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'gina', 'hugo', 'ivan', 'judy']

/** Somebody of the directory. */
export function who(username: string): Credentials {
  return { username, password: `Password-of-${username}-1` }
}

/** What is answered of a user, or a problem instead. */
interface User {
  readonly namespaces: readonly string[]
}

export type DirectorySystem = Awaited<ReturnType<typeof startDirectorySystem>>

/**
 * registry-manager before a directory with people and groups: Dave is in `outer` (by way of `inner`, where groups within groups
 * count), which gives the namespace `team`; Erin is in `bosses`, who are cluster administrators.
 */
export async function startDirectorySystem(t: Test, directory: TestDirectory, nested: boolean) {
  const { personDn, groupDn } = directory
  await directory.addUsers(Object.fromEntries(PEOPLE.map((name) => [name, who(name).password])))
  await directory.addGroup('inner', [personDn('dave')])
  await directory.addGroup('outer', [nested ? groupDn('inner') : personDn('dave')])
  await directory.addGroup('bosses', [personDn('erin')])
  const env = {
    ...settingsFor(directory),
    DIRECTORY_GROUP_MAP: JSON.stringify({
      [groupDn('outer')]: { namespaces: ['team'] },
      [groupDn('bosses')]: { role: 'cluster-administrator' },
    }),
    DIRECTORY_AUTO_CREATE: 'true',
    DIRECTORY_REFRESH_SECONDS: String(REFRESH_SECONDS),
  }
  const system = await startSystem(t, { env })
  const ask = usersApi(system)
  const postToken = (form: Record<string, string>) => {
    const body = new URLSearchParams({ service: system.host, client_id: 'test', ...form })
    return fetch(`${system.url}/auth/v2/token`, { method: 'POST', body })
  }
  return {
    system,
    /** The users API, as somebody. */
    ask,
    create: (username: string, namespaces = '') =>
      ask(system.admin, 'POST', '/user', { username, ad: 'true', namespaces }),
    signIn: async (as: Credentials) => (await ask(as, 'GET', '/user')).status,
    /** An Authorization header with a new token. */
    bearer: async (as: Credentials, image: string) =>
      `Bearer ${await tokenFor(system, as, `repository:${image}:pull,push`)}`,
    /** Status of a pull: 401 is a refusal, whether the image is there or not. */
    async pullStatus(authorization: string, image: string): Promise<number> {
      const response = await fetch(`${system.url}/v2/${image}/manifests/v1`, { headers: { authorization } })
      await response.body?.cancel()
      return response.status
    },
    async refreshToken({ username, password }: Credentials): Promise<string> {
      const grant = { grant_type: 'password', access_type: 'offline', username, password }
      return ((await (await postToken(grant)).json()) as { refresh_token: string }).refresh_token
    },
    async isRefused(refresh_token: string): Promise<boolean> {
      const response = await postToken({ grant_type: 'refresh_token', refresh_token })
      await response.body?.cancel()
      return response.status === 401
    },
  }
}

/** Waits for what the directory's news must bring about; fails when it takes longer than it may. */
export async function until(t: Test, what: string, isSo: () => Promise<boolean>): Promise<void> {
  const begun = Date.now()
  // All that is beyond the time is for a machine that is busy.
  const is = await answerEverywhere(isSo, true, (REFRESH_SECONDS + 10) * 1000)
  t.ok(is, `${what}: after ${((Date.now() - begun) / 1000).toFixed(1)} s`)
}

function usersApi(system: System) {
  const ask = async (
    as: Credentials,
    method: string,
    path: string,
    parameters: Record<string, string> = {},
    left = 10,
  ): Promise<{ status: number; body: User }> => {
    const response = await fetch(`${system.url}${path}`, {
      method,
      headers: { authorization: basic(as), 'content-type': 'application/x-www-form-urlencoded' },
      ...(method === 'GET' ? {} : { body: new URLSearchParams(parameters).toString() }),
    })
    const text = await response.text()
    if (response.status !== 503 || left === 0) {
      return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as User }
    }
    // The directory is there, but the machine may be very busy.
    await sleep(1000)
    return ask(as, method, path, parameters, left - 1)
  }
  return ask
}
