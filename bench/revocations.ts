import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '../packages/database/src/connect.ts'
import { connectPostgres } from '../packages/database/src/connect.ts'
import { atEnd } from './cleanup.ts'
import { load } from './clients.ts'
import { runScript } from './index-contents.ts'
import { watchMemory } from './memory.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatPerSecond, median } from './table.ts'
import { TOKEN_PATH } from './token-sign-in.ts'
import { createUser } from './users.ts'

const [CONNECTIONS, SECONDS, ENDED] = [32, 6, 5]
const LONG = 100_000
const MAX_MIB = 200

/**
 * Measures what a long revocation list costs: tokens, decisions of registry-proxy, the list itself, and how long a
 * revocation takes to reach registry-proxy.
 */
export async function measureRevocations(): Promise<Table> {
  const stack = await startStack()
  const db = connectPostgres(stack.databaseUrl)
  atEnd(() => db.destroy())
  const authorization = await createUser(stack, 'jane', ['bench'])
  const bearer = await stack.token(authorization, 'repository:bench/app:pull')
  const faults: string[] = []
  const rate = async (origin: string, path: string, authorization: string) => {
    const lanes = Array.from({ length: CONNECTIONS }, () => [{ path, headers: { authorization } }])
    const result = await load({ origin, lanes, seconds: SECONDS })
    if (result.errors > 0) faults.push(`GET ${path}: ${result.errors} errors, first: ${result.firstError}`)
    return formatPerSecond(result.requests, result.seconds)
  }

  const row = async (what: string, revocations: number, changesEachSecond: boolean) => {
    await untilListed(stack, revocations)
    const changes = changesEachSecond ? revokeEachSecond(db) : undefined
    const watched = [stack.authPid, stack.proxyPid, stack.imageManagerPid].map((pid) => watchMemory(pid))
    const cells = [
      what,
      await rate(stack.authUrl, TOKEN_PATH, authorization),
      await rate(stack.proxyUrl, '/v2/', bearer),
      ...(await listOf(stack)),
    ]
    const waits: number[] = []
    for (let ended = 0; ended < ENDED; ended += 1)
      waits.push(await timeOfRevocation(stack, db, `${what} ${ended}`))
    const peaks = watched.map((stop) => stop().peak)
    for (const peak of peaks) if (peak > MAX_MIB) faults.push(`${what}: a service used ${formatMiB(peak)}`)
    await changes?.stop()
    return [
      ...cells,
      `${Math.round(median(waits))} ms`,
      `${Math.round(Math.max(...waits))} ms`,
      peaks.map(formatMiB).join(', '),
    ]
  }
  const fill = () => runScript(stack, 'revocation-rows.sql', { revocations: LONG })
  return {
    title: `revocations: ${CONNECTIONS} connections for ${SECONDS} s; memory of auth-service, registry-proxy and image-manager`,
    columns: [
      'revocations',
      'tokens of a user',
      'GET /v2/ by Bearer',
      'list',
      '',
      'refused after',
      'worst',
      'memory peaks',
    ],
    rows: [
      await row('none', 0, false),
      await fill().then(() => row(`${LONG}`, LONG, false)),
      await row(`${LONG}, one more each second`, LONG, true),
    ],
    faults,
  }
}

/** Waits until auth-service, registry-proxy and image-manager have loaded the list. */
async function untilListed(stack: Stack, revocations: number): Promise<void> {
  const end = Date.now() + 30_000
  for (;;) {
    const response = await askList(stack)
    const { accounts } = (await response.json()) as { accounts: object }
    const count = Object.keys(accounts).length
    if (count >= revocations) break
    if (Date.now() > end) throw new Error(`auth-service lists ${count} revocations, not ${revocations}`)
    await sleep(1000)
  }
  // registry-proxy and image-manager poll it each second.
  await sleep(3000)
}

function askList({ authInternalUrl, environment }: Stack, etag?: string): Promise<Response> {
  const authorization = `Bearer ${environment['SERVICE_CREDENTIAL']}`
  const headers = { authorization, ...(etag !== undefined && { 'if-none-match': etag }) }
  return fetch(`${authInternalUrl}/internal/revocations`, { headers })
}

/** Cells: the time for the whole list, and for the response that it has not changed. */
async function listOf(stack: Stack): Promise<string[]> {
  const begin = performance.now()
  const response = await askList(stack)
  const { length } = await response.bytes()
  const loaded = performance.now()
  await (await askList(stack, response.headers.get('etag') ?? '')).bytes()
  const [whole, unchanged] = [loaded - begin, performance.now() - loaded]
  return [`${(length / 1e6).toFixed(1)} MB in ${whole.toFixed(0)} ms`, `304 in ${unchanged.toFixed(0)} ms`]
}

/** Revokes a new account's access token in the database. Returns the milliseconds until registry-proxy refuses it. */
async function timeOfRevocation(stack: Stack, db: Database, what: string): Promise<number> {
  const username = `ends-${what.replaceAll(/\W+/g, '-')}`
  const authorization = await stack.token(
    await createUser(stack, username, ['bench']),
    'repository:bench/app:pull',
  )
  const status = async () => (await fetch(`${stack.proxyUrl}/v2/`, { headers: { authorization } })).status
  if ((await status()) !== 200) throw new Error(`GET /v2/ by the new user ${username} is refused`)
  // At any moment between two polls.
  await sleep(Math.random() * 1000)
  const { id } = await db
    .selectFrom('accounts')
    .select('id')
    .where('username', '=', username)
    .executeTakeFirstOrThrow()
  await revoke(db, id)
  const begin = performance.now()
  while ((await status()) === 200) {
    if (performance.now() - begin > 30_000) throw new Error(`${username} is not refused after 30 s`)
    await sleep(10)
  }
  return performance.now() - begin
}

async function revoke(db: Database, account_id: string): Promise<void> {
  await db
    .insertInto('revocations')
    .values({ account_id, least_generation: 2, revoked_at: new Date() })
    .execute()
}

function revokeEachSecond(db: Database): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const revoking = (async () => {
    while (!stopping.signal.aborted) {
      await revoke(db, crypto.randomUUID())
      await sleep(1000)
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await revoking
    },
  }
}
