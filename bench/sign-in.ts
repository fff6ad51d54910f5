import { startBareFastify } from './bare.ts'
import type { LoadRequest } from './client/load.ts'
import { load } from './clients.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatPerSecond, formatRatio, median } from './table.ts'
import { createUser } from './users.ts'

const CONNECTIONS = 8
const USERS = 160
const [ROUNDS, SECONDS] = [3, 2]
const PATH = '/auth/v2/token?scope=repository:bench/app:pull'

/**
 * Measures the token endpoint with passwords that must be hashed and with cached ones, and a minimal Fastify server.
 */
export async function measureSignIn(): Promise<Table> {
  const stack = await startStack()
  const response = await fetch(stack.authUrl + PATH, { headers: { authorization: stack.basic } })
  const bytes = (await response.bytes()).length
  const bareUrl = await startBareFastify(PATH, bytes)
  const faults: string[] = []
  const rate = async (origin: string, lanes: LoadRequest[][], seconds?: number) => {
    const result = await load({ origin, lanes, seconds })
    if (result.errors > 0) faults.push(`${result.errors} errors, first: ${result.firstError}`)
    return result.requests / result.seconds
  }

  const users = await createUsers(stack)
  const cold = await rate(
    stack.authUrl,
    lanes(CONNECTIONS, (lane) => users.filter((_, user) => user % CONNECTIONS === lane)),
  )
  const known = lanes(CONNECTIONS, () => [{ path: PATH, headers: { authorization: stack.basic } }])
  const [knownRates, bareRates]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    bareRates.push(await rate(bareUrl, known, SECONDS))
    knownRates.push(await rate(stack.authUrl, known, SECONDS))
  }
  const bare = median(bareRates)
  const row = (what: string, rate: number) => [what, formatPerSecond(rate, 1), formatRatio(rate / bare)]
  return {
    title: `sign-in: GET of the token endpoint by Basic, ${CONNECTIONS} connections, responses of ${bytes} bytes`,
    columns: ['', 'requests', 'ratio to bare Fastify'],
    rows: [
      row('bare Fastify route, same size', bare),
      row('cached credentials (one user)', median(knownRates)),
      row(`uncached credentials (${USERS} users, argon2id each)`, cold),
    ],
    faults,
  }
}

function lanes(count: number, requestsOf: (lane: number) => LoadRequest[]): LoadRequest[][] {
  return Array.from({ length: count }, (_, lane) => requestsOf(lane))
}

/** Creates users that never signed in, one after the other: auth-service bounds the hashes that wait. */
async function createUsers(stack: Stack): Promise<LoadRequest[]> {
  const requests: LoadRequest[] = []
  for (let user = 0; user < USERS; user += 1) {
    const authorization = await createUser(stack, `user-${user}`, ['bench'])
    requests.push({ path: PATH, headers: { authorization } })
  }
  return requests
}
