import { startBareFastify } from './bare.ts'
import type { LoadRequest } from './client/load.ts'
import { load } from './clients.ts'
import { watchMemory } from './memory.ts'
import type { Stack } from './stack.ts'
import { basicOf, startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatPerSecond, formatRatio, median } from './table.ts'
import { createUser } from './users.ts'

const CONNECTIONS = 32
/** The number of CI jobs of a large installation that pull at the same time. */
const TOKENS = 320
const REPOSITORIES = 20_000
const [ROUNDS, SECONDS] = [5, 3]
/** Also for `many-accounts` and `revocations`. */
export const TOKEN_PATH = '/auth/v2/token?scope=repository:bench/app:pull'
const MAX_MIB = 200

/** Measures the token endpoint with a user, with registry tokens, and a minimal Fastify server. */
export async function measureTokenSignIn(): Promise<Table> {
  const stack = await startStack()
  const requests = await createTokens(stack)
  const [first] = requests
  const jane = { path: TOKEN_PATH, headers: { authorization: await createUser(stack, 'jane', ['bench']) } }
  const user = [jane]
  const sample = await fetch(stack.authUrl + TOKEN_PATH, { headers: first?.headers })
  const bytes = (await sample.bytes()).length
  const bareUrl = await startBareFastify(TOKEN_PATH, bytes)
  const faults: string[] = []
  const rate = async (origin: string, lanes: LoadRequest[][]) => {
    const result = await load({ origin, lanes, seconds: SECONDS })
    if (result.errors > 0) faults.push(`${result.errors} errors, first: ${result.firstError}`)
    return result.requests / result.seconds
  }

  const all = (requests: LoadRequest[]) => Array.from({ length: CONNECTIONS }, () => requests)
  // More than auth-service keeps, so that each request needs a signature.
  const others = Array.from({ length: REPOSITORIES }, (_, at) => ({
    ...jane,
    path: `${TOKEN_PATH.replace('app', `app-${at}`)}`,
  }))
  const spread = (requests: LoadRequest[]) =>
    all([]).map((_, lane) => requests.filter((_, at) => at % CONNECTIONS === lane))
  const sides = [
    { what: 'bare Fastify route, same size', origin: bareUrl, lanes: all(user), rates: [] as number[] },
    { what: 'one user', origin: stack.authUrl, lanes: all(user), rates: [] as number[] },
    {
      what: 'one registry token',
      origin: stack.authUrl,
      lanes: all(requests.slice(0, 1)),
      rates: [] as number[],
    },
    {
      what: 'one user, another repository in each request',
      origin: stack.authUrl,
      lanes: spread(others),
      rates: [] as number[],
    },
    {
      what: `${TOKENS} registry tokens`,
      origin: stack.authUrl,
      lanes: spread(requests),
      rates: [] as number[],
    },
  ]
  const watched = watchMemory(stack.authPid)
  // The first seconds run code that is not compiled yet, on both sides.
  for (const { origin, lanes } of sides) await rate(origin, lanes)
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { origin, lanes, rates } of sides) rates.push(await rate(origin, lanes))
  }
  const { peak } = watched()
  if (peak > MAX_MIB) faults.push(`auth-service used ${formatMiB(peak)}, more than ${MAX_MIB} MiB`)
  const bare = median(sides[0]?.rates ?? [])
  return {
    title: `token-sign-in: GET of the token endpoint by Basic, ${CONNECTIONS} connections, responses of ${bytes} bytes, median of ${ROUNDS}; auth-service's memory: at most ${formatMiB(peak)}`,
    columns: ['', 'tokens', 'ratio to bare Fastify'],
    rows: sides.map(({ what, rates }) => [
      what,
      formatPerSecond(median(rates), 1),
      formatRatio(median(rates) / bare),
    ]),
    faults,
  }
}

/** Creates registry tokens. Returns their sign-in requests. */
async function createTokens({ authUrl, basic }: Stack): Promise<LoadRequest[]> {
  const headers = { authorization: basic, 'content-type': 'application/json' }
  const registries = await fetch(`${authUrl}/containerregistries/registries`, { headers })
  const { id } = (await registries.json()) as { id: string }
  const create = async (name: string) => {
    const properties = { name, scopes: [{ type: 'repository', name: 'bench/*', actions: ['pull'] }] }
    const response = await fetch(`${authUrl}/containerregistries/registries/${id}/tokens`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ properties }),
    })
    if (response.status !== 200) throw new Error(`POST tokens: ${response.status} ${await response.text()}`)
    const made = (await response.json()) as {
      properties: { credentials: { username: string; password: string } }
    }
    const { username, password } = made.properties.credentials
    return { path: TOKEN_PATH, headers: { authorization: basicOf(username, password) } }
  }
  return Promise.all(Array.from({ length: TOKENS }, (_, token) => create(`ci-${token}`)))
}
