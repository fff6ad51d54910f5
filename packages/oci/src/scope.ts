import type { Access } from './access.ts'

const RESOURCE_TYPE = /^([a-z0-9]+)(?:\([a-z0-9]+\))?$/
const ACTION = /^(?:[a-z]+|\*)$/

/**
 * Parses scope parameters, each of which may hold several scopes separated by spaces. Answers null when none was given.
 * A scope is `type[(class)]:name:action[,action]`. The name may hold a colon (`host:port/name`), so the
 * first and the last one cut. The class says what is inside a repository and grants nothing: it is dropped.
 * Scopes of one resource are merged. A scope that cannot be read, and an action that cannot, count as not asked for: a
 * server may ignore a scope, partly or as a whole, and clients ask for scopes of other products. They still count as
 * given, so what is left may be an empty list.
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
