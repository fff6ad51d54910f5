import { argon2Sync, randomBytes } from 'node:crypto'
import { connectPostgres } from '../packages/database/src/connect.ts'
import type { LoadRequest } from './client/load.ts'
import { load } from './clients.ts'
import { watchMemory } from './memory.ts'
import type { Stack } from './stack.ts'
import { basicOf, startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatPerSecond } from './table.ts'
import { TOKEN_PATH } from './token-sign-in.ts'

const [ACCOUNTS, CONNECTIONS] = [10_000, 32]
const SECONDS = 6
const MAX_MIB = 200
/**
 * The weakest argon2id: the first row measures what a first sign-in costs beside the hash. `sign-in` measures the hash
 * of real passwords, which takes a core for about 45 ms.
 */
const WEAK = { memory: 8, passes: 1, parallelism: 1, tagLength: 32 }

/** Measures the token endpoint with 10,000 users, each with its own password, and auth-service's memory. */
export async function measureManyAccounts(): Promise<Table> {
  const stack = await startStack()
  const requests = await createAccounts(stack)
  const lanes = Array.from({ length: CONNECTIONS }, (_, lane) =>
    requests.filter((_, account) => account % CONNECTIONS === lane),
  )
  const faults: string[] = []
  const row = async (what: string, seconds?: number) => {
    const watched = watchMemory(stack.authPid)
    const result = await load({ origin: stack.authUrl, lanes, seconds })
    if (result.errors > 0) faults.push(`${what}: ${result.errors} errors, first: ${result.firstError}`)
    const { before, peak } = watched()
    if (peak > MAX_MIB) faults.push(`auth-service used ${formatMiB(peak)}, more than ${MAX_MIB} MiB`)
    const cells = [what, formatPerSecond(result.requests, result.seconds), formatMiB(before), formatMiB(peak)]
    return [...cells, await cachedUsers(stack)]
  }
  return {
    title: `many-accounts: GET of the token endpoint by ${ACCOUNTS} users in turn, ${CONNECTIONS} connections; the first row without the cost of real hashes`,
    columns: ['', 'tokens', 'memory before', 'memory peak', 'cached credentials'],
    rows: [await row('first sign-in of each user'), await row('repeated sign-ins', SECONDS)],
    faults,
  }
}

/** Inserts the users into the database. Returns their sign-in requests. */
async function createAccounts({ databaseUrl }: Stack): Promise<LoadRequest[]> {
  const db = connectPostgres(databaseUrl)
  const users = Array.from({ length: ACCOUNTS }, (_, account) => ({
    username: `user-${account}`,
    password: `password-of-user-${account}`,
  }))
  for (let at = 0; at < ACCOUNTS; at += 1000) {
    const rows = users.slice(at, at + 1000).map(({ username, password }) => ({
      username,
      password_hash: weakHash(password),
      directory: false,
      role: 'user' as const,
      namespaces: ['bench'],
    }))
    await db.insertInto('accounts').values(rows).execute()
  }
  await db.destroy()
  return users.map(({ username, password }) => ({
    path: TOKEN_PATH,
    headers: { authorization: basicOf(username, password) },
  }))
}

function weakHash(password: string): string {
  const nonce = randomBytes(16)
  const tag = argon2Sync('argon2id', { message: password, nonce, ...WEAK })
  const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$m=${WEAK.memory},t=${WEAK.passes},p=${WEAK.parallelism}$${base64(nonce)}$${base64(tag)}`
}

/** The number of entries in the credential cache of users. */
async function cachedUsers({ authInternalUrl }: Stack): Promise<string> {
  const metrics = await (await fetch(`${authInternalUrl}/metrics`)).text()
  return /^credential_cache_entries\{.*cache="users".*\} (\d+)$/m.exec(metrics)?.[1] ?? 'no metric'
}
