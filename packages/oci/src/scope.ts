import type { Access } from './access.ts'

const RESOURCE_TYPE = /^([a-z0-9]+)(?:\([a-z0-9]+\))?$/
const ACTION = /^(?:[a-z]+|\*)$/

export type ParsedScopes = { readonly scopes: readonly Access[] } | { readonly malformed: string }

/**
 * Parses scope parameters, each of which may hold several scopes separated by spaces.
 * A scope is `type[(class)]:name:action[,action]`. The name may hold a colon (`host:port/name`), so the
 * first and the last one cut. The class says what is inside a repository and grants nothing: it is dropped.
 * Scopes of one resource are merged. Answers the first malformed scope instead, if there is one.
 * Source: distribution, "Docker Registry Token Scope and Access", "Resource Scope Grammar".
 */
export function parseScopes(parameters: readonly string[]): ParsedScopes {
  const byResource = new Map<string, Access>()
  for (const text of parameters.flatMap((parameter) => parameter.split(' '))) {
    if (text === '') continue
    const scope = parseScope(text)
    if (scope === undefined) return { malformed: text }
    const resource = `${scope.type}:${scope.name}`
    const actions = new Set([...(byResource.get(resource)?.actions ?? []), ...scope.actions])
    byResource.set(resource, { ...scope, actions: [...actions] })
  }
  return { scopes: [...byResource.values()] }
}

function parseScope(text: string): Access | undefined {
  const first = text.indexOf(':')
  const last = text.lastIndexOf(':')
  if (last <= first + 1) return undefined
  const type = RESOURCE_TYPE.exec(text.slice(0, first))?.[1]
  const actions = text.slice(last + 1).split(',')
  if (type === undefined || !actions.every((action) => ACTION.test(action))) return undefined
  return { type, name: text.slice(first + 1, last), actions }
}
