import { runScript } from './index-contents.ts'
import { pushBlobs, pushMany } from './push.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatRatio, median } from './table.ts'

const [CONNECTIONS, ROUNDS, PUSHES] = [[1, 4], 9, 100] as const
/** Repositories of two namespaces: one with a quota and immutable tags, one without. */
const REPOSITORIES = { with: 'policies/app', without: 'nothing/app' } as const
/**
 * Measures pushes of new manifests with new tags: into a namespace with a quota and with rules for immutable tags, and
 * into one without, where the database neither counts usage nor keeps the history of tags. In alternating rounds.
 */
export async function measurePushPolicies(): Promise<Table> {
  const stack = await startStack()
  await setPolicies(stack)
  const rows: string[][] = []
  for (const connections of CONNECTIONS) {
    const times = { with: [] as number[], without: [] as number[] }
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const which of ['with', 'without'] as const) {
        await runScript(stack, 'policy-triggers.sql', { state: which === 'with' ? 'enable' : 'disable' })
        const repository = REPOSITORIES[which]
        const authorization = await stack.bearer(repository, 'pull,push')
        const targets = [{ repository, authorization, references: await pushBlobs(stack, repository) }]
        const taken = await pushMany({ origin: stack.proxyUrl, targets, connections, pushes: PUSHES })
        // The first round runs code that is not compiled yet.
        if (round > 0) times[which].push(...taken)
      }
    }
    const without = median(times.without)
    for (const [which, milliseconds] of Object.entries(times)) {
      const middle = median(milliseconds)
      const more = `${(middle - without).toFixed(2)} ms`
      rows.push([which, `${connections}`, `${middle.toFixed(2)} ms`, more, formatRatio(middle / without)])
    }
  }
  return {
    title: `push-policies: manifests with a new tag, with and without quota, immutable tags and history, ${ROUNDS} alternating rounds of ${PUSHES}`,
    columns: ['', 'connections', 'median', 'more', 'ratio'],
    rows,
    faults: [],
  }
}

/** Sets a quota and a rule for immutable tags. */
async function setPolicies({ imageManagerUrl, basic }: Stack): Promise<void> {
  const [namespace] = REPOSITORIES.with.split('/')
  const rule = { name: 'all', repositories: `${namespace}/*`, tags: '*', except: ['latest'] }
  const bodies = {
    quota: { bytes: 1e12, repositories: 1000, softBytes: 9e11 },
    immutability: { rules: [rule] },
  }
  for (const [policy, body] of Object.entries(bodies)) {
    const response = await fetch(`${imageManagerUrl}/namespaces/${namespace}/${policy}`, {
      method: 'PUT',
      headers: { authorization: basic, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`PUT ${policy}: ${response.status} ${await response.text()}`)
  }
}
