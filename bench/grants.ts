import type { LoadRequest } from './client/load.ts'
import { load } from './clients.ts'
import { fillIndex, runScript } from './index-contents.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Goal, Table } from './table.ts'
import { formatPerSecond, formatRatio, median, toGoal } from './table.ts'
import { createUser } from './users.ts'

const [GRANTS, GROUPS, MEMBERSHIPS] = [10_000, 1000, 10]
const REPOSITORIES = 10_000
const TOKEN_PATH = '/auth/v2/token?scope=repository:team-0006/app:pull'
const CONNECTIONS = 16
const CASES = [
  'token endpoint, one scope',
  'token endpoint, identity token, which reads the account',
  'first page of the catalog',
]
const [ROUNDS, SECONDS] = [5, 2]
/** At most 10 % fewer requests. */
const LEAST_RATIO = 0.9

interface Side {
  readonly origin: string
  readonly lanes: LoadRequest[][]
}

/**
 * Compares an installation with many grants and groups with one that has none: the token endpoint and the first page of
 * the catalog, for a user who is a member of ten groups and so has a hundred grants. Without grants, the user has the
 * same namespaces, so that both catalogs have the same names.
 */
export async function measureGrants(): Promise<Table> {
  const without = await startStack()
  const withGrants = await startStack()
  const faults: string[] = []
  const prepare = async (stack: Stack) => {
    await fillIndex(stack, { repositories: REPOSITORIES, manifests: 1, tags: 1 })
    const isGranted = stack === withGrants
    const authorization = await createUser(stack, 'jane', isGranted ? [] : namespacesOfGroups())
    if (isGranted) {
      await runScript(stack, 'grant-rows.sql', { groups: GROUPS, grants: GRANTS, memberships: MEMBERSHIPS })
    }
    const bearer = await stack.token(authorization, 'registry:catalog:*')
    return [
      sideOf(stack.authUrl, TOKEN_PATH, authorization),
      sideOf(stack.authUrl, '/auth/v2/token', authorization),
      sideOf(stack.proxyUrl, '/v2/_catalog?n=100', bearer),
    ]
  }
  const [plain, granted] = [await prepare(without), await prepare(withGrants)]
  const rate = async (what: string, { origin, lanes }: Side) => {
    const result = await load({ origin, lanes, seconds: SECONDS })
    if (result.errors > 0) faults.push(`${what}: ${result.errors} errors, first: ${result.firstError}`)
    return result.requests / result.seconds
  }

  const rows: string[][] = []
  const goals: Goal[] = []
  for (const [at, what] of CASES.entries()) {
    const [side, other] = [plain[at], granted[at]]
    if (side === undefined || other === undefined) throw new Error(`nothing to measure for ${what}`)
    // The first seconds run code that is not compiled yet, on both sides.
    for (const each of [side, other]) await rate(what, each)
    const rounds: { readonly plain: number; readonly granted: number }[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      rounds.push({ plain: await rate(what, side), granted: await rate(what, other) })
    }
    const ratio = median(rounds.map((round) => round.granted / round.plain))
    const before = formatPerSecond(median(rounds.map((round) => round.plain)), 1)
    const after = formatPerSecond(median(rounds.map((round) => round.granted)), 1)
    rows.push([what, before, after, formatRatio(ratio)])
    const values = `${after} with grants, ${before} without`
    goals.push(toGoal({ case: `grants: ${what}`, values }, { atLeast: LEAST_RATIO }, ratio, formatRatio))
  }
  return {
    title: `grants: ${GRANTS} grants of ${GROUPS} groups, with a user in ${MEMBERSHIPS} groups, compared with no grants; ${CONNECTIONS} connections, median of ${ROUNDS} rounds`,
    columns: ['', 'without grants', 'with grants', 'ratio'],
    rows,
    faults,
    goals,
  }
}

/** The namespaces of the user's groups, as `grant-rows.sql` makes them. */
function namespacesOfGroups(): string[] {
  const grants = Array.from({ length: GRANTS }, (_, at) => at + 1)
  const ofUser = grants.filter((grant) => {
    const group = (grant % GROUPS) + 1
    return group % 7 === 0 && group / 7 <= MEMBERSHIPS
  })
  return [...new Set(ofUser.map((grant) => `team-${String(grant % 1980).padStart(4, '0')}`))]
}

function sideOf(origin: string, path: string, authorization: string): Side {
  const requests = [{ path, headers: { authorization } }]
  return { origin, lanes: Array.from({ length: CONNECTIONS }, () => requests) }
}
