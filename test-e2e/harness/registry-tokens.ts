import type { Credentials, System } from './system.ts'
import { basic } from './system.ts'

/** The credentials of a registry token or a personal token. */
export interface RegistryToken extends Credentials {
  readonly id: string
}

export interface GivenScope {
  readonly type: 'repository'
  readonly name: string
  readonly actions: readonly string[]
}

/** Makes a scope in the form of the API. */
export function scope(name: string, ...actions: string[]): GivenScope {
  return { type: 'repository', name, actions }
}

/** Manages registry tokens over the API as the administrator. */
export async function registryTokens(system: System) {
  const headers = { authorization: basic(system.admin), 'content-type': 'application/json' }
  const call = async (method: string, path: string, body?: unknown) => {
    const url = `${system.url}/containerregistries${path}`
    const response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  const { items } = await call('GET', '/registries')
  const registryId: string = items[0].id
  const base = `/registries/${registryId}/tokens`
  const credentialsIn = (created: {
    id: string
    properties: { credentials: Credentials }
  }): RegistryToken => ({
    id: created.id,
    ...created.properties.credentials,
  })
  return {
    registryId,
    make: async (name: string, scopes: readonly GivenScope[], more: object = {}) =>
      credentialsIn(await call('POST', base, { properties: { name, scopes, ...more } })),
    rotate: async (id: string, query = '') => credentialsIn(await call('PUT', `${base}/${id}${query}`)),
    change: (id: string, fields: object) => call('PATCH', `${base}/${id}`, fields),
    delete: (id: string) => call('DELETE', `${base}/${id}`),
    get: (id: string) => call('GET', `${base}/${id}`),
  }
}

/** Manages the personal tokens of a user over the API. */
export function personalTokens(system: System, owner: Credentials) {
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${system.url}/personal-tokens${path}`, {
      method,
      headers: { authorization: basic(owner), 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} /personal-tokens${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  return {
    /** Null scopes: all that the owner may do. */
    make: async (name: string, scopes: readonly GivenScope[] | null = null): Promise<RegistryToken> => {
      const { id, username, password } = await call('POST', '', { name, scopes })
      return { id, username, password }
    },
    delete: (id: string) => call('DELETE', `/${id}`),
  }
}
