import { setTimeout as sleep } from 'node:timers/promises'
import type { DirectoryKind } from '../test-e2e/harness/directories.ts'
import { directoryKinds } from '../test-e2e/harness/directories.ts'
import type { TestDirectory } from '../test-e2e/harness/test-directory.ts'
import { settingsFor } from '../test-e2e/harness/test-directory.ts'
import { atEnd, cleanUp } from './cleanup.ts'
import type { Stack } from './stack.ts'
import { basicOf, startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatPerSecond } from './table.ts'

const [USERS, AT_ONCE] = [500, 32]
const PATH = '/auth/v2/token?scope=repository:team/app:pull'

const passwordOf = (username: string) => `Password-of-${username}-1`
const usernames = Array.from({ length: USERS }, (_, user) => `user-${user}`)

/**
 * Measures sign-ins by Active Directory and by OpenLDAP: each user's first sign-in, and a second one from the
 * credential cache.
 */
export async function measureDirectorySignIn(): Promise<Table> {
  const rows: (readonly string[])[] = []
  const faults: string[] = []
  for (const kind of await directoryKinds()) {
    if (kind.missing !== false) throw new Error(`${kind.name}: ${kind.missing}`)
    const measured = await measure(kind)
    rows.push(...measured.rows)
    faults.push(...measured.faults)
    await cleanUp()
  }
  return {
    title: `directory-sign-in: ${USERS} users at the token endpoint by Basic, ${AT_ONCE} at once, ldaps, groups mapped`,
    columns: ['', 'p50', 'p99', 'sign-ins', 'searches per sign-in', 'binds per sign-in', 'retries after 503'],
    rows,
    faults,
  }
}

async function measure({ name, start }: DirectoryKind): Promise<Pick<Table, 'rows' | 'faults'>> {
  const directory = await start({ teardown: atEnd })
  const settings = await populate(directory)
  const stack = await startStack(settings)
  await atOnce(usernames, AT_ONCE, (username) => createUser(stack, username))
  const rows: (readonly string[])[] = []
  const faults: string[] = []
  for (const [how, expected] of [
    ['cold', 1],
    ['cached', 0],
  ] as const) {
    const before = await countOperations(stack)
    const begin = performance.now()
    const responses = await atOnce(usernames, AT_ONCE, (username) => signIn(stack, username))
    const rate = formatPerSecond(USERS, (performance.now() - begin) / 1000)
    const after = await countOperations(stack)
    const [searches, binds] = [after.search - before.search, after.bind - before.bind]
    const repeated = responses.reduce((sum, { repeated }) => sum + repeated, 0)
    const times = responses.map(({ ms }) => ms)
    rows.push([`${name}, ${how}`, ...percentiles(times), rate, each(searches), each(binds), `${repeated}`])
    const right = [searches, binds].every((count) => count === expected * USERS)
    // On a busy machine a query can time out and be retried.
    if (!right && repeated === 0) {
      faults.push(`${name}, ${how}: ${searches} searches and ${binds} binds instead of ${expected} each`)
    }
  }
  return { rows, faults }
}

/** Creates the users and one group with all of them. Returns auth-service's settings. */
async function populate(directory: TestDirectory): Promise<Record<string, string>> {
  await directory.addUsers(Object.fromEntries(usernames.map((name) => [name, passwordOf(name)])))
  await directory.addGroup('everybody', usernames.map(directory.userDn))
  return {
    ...settingsFor(directory),
    DIRECTORY_GROUP_MAP: JSON.stringify({ [directory.groupDn('everybody')]: { namespaces: ['team'] } }),
    // Only the queries of sign-ins are counted.
    DIRECTORY_REFRESH_SECONDS: '86400',
  }
}

async function createUser({ authUrl, basic }: Stack, username: string): Promise<void> {
  const response = await fetch(`${authUrl}/user`, {
    method: 'POST',
    headers: { authorization: basic },
    body: new URLSearchParams({ username, ad: 'true' }),
  })
  if (response.status !== 201) throw new Error(`POST /user: ${response.status} ${await response.text()}`)
}

/** Signs in. Retries while the directory is too busy. Returns the total time in milliseconds. */
async function signIn({ authUrl }: Stack, username: string): Promise<{ ms: number; repeated: number }> {
  const begin = performance.now()
  const headers = { authorization: basicOf(username, passwordOf(username)) }
  for (let repeated = 0; ; repeated += 1) {
    const response = await fetch(authUrl + PATH, { headers })
    await response.bytes()
    if (response.status === 200) return { ms: performance.now() - begin, repeated }
    if (response.status !== 503 || repeated >= 30)
      throw new Error(`sign-in of ${username} was answered ${response.status}`)
    await sleep(1000)
  }
}

/** Counts the searches and binds that auth-service sent for users, including failed ones. */
async function countOperations({ authInternalUrl }: Stack): Promise<{ search: number; bind: number }> {
  const metrics = await (await fetch(`${authInternalUrl}/metrics`)).text()
  const count = (operation: string) =>
    [...metrics.matchAll(/^directory_operations_total\{operation="(\w+)".*\} (\d+)$/gm)]
      .filter(([, name]) => name === operation)
      .reduce((sum, [, , value]) => sum + Number(value), 0)
  return { search: count('search'), bind: count('bind') }
}

/** Runs work for each item, with limited concurrency. */
async function atOnce<Item, Result>(
  items: readonly Item[],
  count: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const [left, results] = [[...items], [] as Result[]]
  const runLane = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) results.push(await work(item))
  }
  await Promise.all(Array.from({ length: count }, runLane))
  return results
}

function percentiles(times: readonly number[]): readonly string[] {
  const sorted = times.toSorted((one, other) => one - other)
  return [0.5, 0.99].map((part) => `${(sorted[Math.ceil(sorted.length * part) - 1] ?? 0).toFixed(1)} ms`)
}

function each(count: number): string {
  return (count / USERS).toFixed(2)
}
