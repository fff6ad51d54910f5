import type { Access } from './access.ts'

const RESOURCE_TYPE = /^([a-z0-9]+)(?:\([a-z0-9]+\))?$/
const ACTION = /^(?:[a-z]+|\*)$/

/**
 * Parses scope parameters, each of which may contain several scopes separated by spaces. Returns null if there is no
 * scope at all. A scope is `type[(class)]:name:action[,action]`. The name may contain colons (`host:port/name`), so it
 * is between the first and the last colon. The class describes the content of a repository and grants nothing: it is
 * dropped. Scopes of one resource are merged. Malformed scopes and actions are ignored, which RFC 6749 permits: clients
 * request scopes of other products. If all are malformed, the result is an empty list.
 * Source: distribution, "Docker Registry Token Scope and Access", "Resource Scope Grammar"; RFC 6749 §3.3.
 */
export function parseScopes(parameters: readonly string[]): readonly Access[] | null {
  const given = parameters.flatMap((parameter) => parameter.split(' ')).filter((text) => text !== '')
  if (given.length === 0) return null
  const byResource = new Map<string, Access>()
  for (const scope of given.map(parseScope)) {
    if (scope === undefined) continue
    const resource = `${scope.type}:${scope.name}`
    const actions = new Set([...(byResource.get(resource)?.actions ?? []), ...scope.actions])
    byResource.set(resource, { ...scope, actions: [...actions] })
  }
  return [...byResource.values()]
}

function parseScope(text: string): Access | undefined {
  const first = text.indexOf(':')
  const last = text.lastIndexOf(':')
  if (last <= first + 1) return undefined
  const type = RESOURCE_TYPE.exec(text.slice(0, first))?.[1]
  const actions = text
    .slice(last + 1)
    .split(',')
    .filter((action) => ACTION.test(action))
  if (type === undefined || actions.length === 0) return undefined
  return { type, name: text.slice(first + 1, last), actions }
}
