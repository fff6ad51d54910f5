import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { waitForAllReplicas } from './all-replicas.ts'
import type { Credentials, System } from './system.ts'
import { basic, startSystem, tokenFor } from './system.ts'
import type { TestDirectory } from './test-directory.ts'
import { settingsFor } from './test-directory.ts'

export const REFRESH_SECONDS = 5
const USERNAMES = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'gina', 'hugo', 'ivan', 'judy']

/** Credentials of a directory user. */
export function credentialsOf(username: string): Credentials {
  return { username, password: `Password-of-${username}-1` }
}

/** A user in a response, or a problem. */
interface User {
  readonly namespaces: readonly string[]
}

export type DirectorySystem = Awaited<ReturnType<typeof startDirectorySystem>>

/**
 * Starts registry-manager with a directory. Dave is in the group `outer` (through `inner`, if nested groups are
 * resolved), which gives the namespace `team`. Erin is in `bosses`, whose members are cluster administrators.
 */
export async function startDirectorySystem(t: Test, directory: TestDirectory, nested: boolean) {
  const { userDn, groupDn } = directory
  await directory.addUsers(Object.fromEntries(USERNAMES.map((name) => [name, credentialsOf(name).password])))
  await directory.addGroup('inner', [userDn('dave')])
  await directory.addGroup('outer', [nested ? groupDn('inner') : userDn('dave')])
  await directory.addGroup('bosses', [userDn('erin')])
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
    /** Sends a request to the users API with credentials. */
    ask,
    create: (username: string, namespaces = '') =>
      ask(system.admin, 'POST', '/user', { username, ad: 'true', namespaces }),
    signIn: async (as: Credentials) => (await ask(as, 'GET', '/user')).status,
    /** Returns an Authorization header with a new token. */
    bearer: async (as: Credentials, image: string) =>
      `Bearer ${await tokenFor(system, as, `repository:${image}:pull,push`)}`,
    /** Returns the status of a pull: 401 if it is refused, whether the image exists or not. */
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

/** Waits for an effect of a change in the directory. Fails if it takes longer than the refresh interval. */
export async function waitForRefresh(
  t: Test,
  what: string,
  condition: () => Promise<boolean>,
): Promise<void> {
  const start = Date.now()
  // The extra time is for a busy machine.
  const holds = await waitForAllReplicas(condition, true, (REFRESH_SECONDS + 10) * 1000)
  t.ok(holds, `${what}: after ${((Date.now() - start) / 1000).toFixed(1)} s`)
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
    // The directory is available, but the machine may be busy.
    await sleep(1000)
    return ask(as, method, path, parameters, left - 1)
  }
  return ask
}
