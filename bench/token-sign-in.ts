import { startBareFastify } from './bare.ts'
import type { LoadRequest } from './client/load.ts'
import { load } from './clients.ts'
import type { Stack } from './stack.ts'
import { basicOf, startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatPerSecond, formatRatio, median } from './table.ts'

const CONNECTIONS = 32
/** The number of CI jobs of a large installation that pull at the same time. */
const TOKENS = 320
const [ROUNDS, SECONDS] = [5, 3]
const PATH = '/auth/v2/token?scope=repository:bench/app:pull'

/** Measures the token endpoint with registry tokens, as many CI jobs use it, and a minimal Fastify server. */
export async function measureTokenSignIn(): Promise<Table> {
  const stack = await startStack()
  const requests = await createTokens(stack)
  const [first] = requests
  const sample = await fetch(stack.authUrl + PATH, { headers: first?.headers })
  const bytes = (await sample.bytes()).length
  const bareUrl = await startBareFastify(PATH, bytes)
  const faults: string[] = []
  const rate = async (origin: string, lanes: LoadRequest[][]) => {
    const result = await load({ origin, lanes, seconds: SECONDS })
    if (result.errors > 0) faults.push(`${result.errors} errors, first: ${result.firstError}`)
    return result.requests / result.seconds
  }

  const one = Array.from({ length: CONNECTIONS }, () => requests.slice(0, 1))
  const many = one.map((_, lane) => requests.filter((_, token) => token % CONNECTIONS === lane))
  const rates = { bare: [] as number[], one: [] as number[], many: [] as number[] }
  for (let round = 0; round < ROUNDS; round += 1) {
    rates.bare.push(await rate(bareUrl, one))
    rates.one.push(await rate(stack.authUrl, one))
    rates.many.push(await rate(stack.authUrl, many))
  }
  const bare = median(rates.bare)
  const row = (what: string, rate: number) => [what, formatPerSecond(rate, 1), formatRatio(rate / bare)]
  return {
    title: `token-sign-in: GET of the token endpoint by registry tokens, ${CONNECTIONS} connections, responses of ${bytes} bytes, median of ${ROUNDS}`,
    columns: ['', 'tokens', 'ratio to bare Fastify'],
    rows: [
      row('bare Fastify route, same size', bare),
      row('one registry token', median(rates.one)),
      row(`${TOKENS} registry tokens`, median(rates.many)),
    ],
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
    return { path: PATH, headers: { authorization: basicOf(username, password) } }
  }
  return Promise.all(Array.from({ length: TOKENS }, (_, token) => create(`ci-${token}`)))
}
