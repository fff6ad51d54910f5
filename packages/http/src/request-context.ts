import { fastifyRequestContext, requestContext } from '@fastify/request-context'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parseJson } from './parse-json.ts'

/** The kinds of principals. The names are part of the audit API. */
export const PRINCIPAL_KINDS = [
  'user',
  'registry-token',
  'personal-token',
  'workload',
  'anonymous',
  'service',
  'command',
] as const

/**
 * The principal of a request, as events and logs name it. `workload` holds a token of another issuer, which a trust
 * rule accepts. `command` is an administrator at the command line. `service` is one of our services, for work that no
 * request caused, such as a reconcile run.
 */
export interface RequestPrincipal {
  readonly kind: (typeof PRINCIPAL_KINDS)[number]
  /**
   * The id of the account, of the owner of a personal token, or of the trust rule of a workload. Null for all others.
   */
  readonly id: string | null
  /**
   * The username (for a personal token, that of its owner), or the name of the service or command. For a workload: the
   * trust rule and the subject of the accepted token. Null if the name is not known.
   */
  readonly name: string | null
  /** The personal token that acts for the account; absent for every other kind. */
  readonly via?: { readonly id: string; readonly name: string }
}

/** The origin of a request, for events and logs. */
export interface RequestContext {
  readonly requestId: string
  /** The client's IP address; null if it is not known. */
  readonly address: string | null
  /** Null until the request is authenticated. */
  readonly principal: RequestPrincipal | null
}

interface ContextHolder {
  context: RequestContext
  /** The address that the request came from. */
  readonly address: string
}

declare module '@fastify/request-context' {
  interface RequestContextData {
    holder: ContextHolder
  }
}

/** The contexts by request, for hooks that run outside of the asynchronous context, such as those of the log. */
const holders = new WeakMap<FastifyRequest, ContextHolder>()

/** A service passes the context of the request that it handles to another service in this header. */
export const CONTEXT_HEADER = 'x-request-context'
/** Longer than any context: a username has 255 bytes at most, the name of a personal token 64. */
const MAX_HEADER_LENGTH = 2048

const KINDS: ReadonlySet<unknown> = new Set(PRINCIPAL_KINDS)

/** Gives every request of a server a context, which ends with the request. */
export function provideRequestContext(app: FastifyInstance): void {
  app.register(fastifyRequestContext, {
    defaultStoreValues(request) {
      const holder: ContextHolder = {
        context: { requestId: request.id, address: request.ip, principal: null },
        address: request.ip,
      }
      holders.set(request, holder)
      return { holder }
    },
  })
}

/** The context of the request that is being handled; undefined outside of requests, as in background work. */
export function currentRequestContext(): RequestContext | undefined {
  return requestContext.get('holder')?.context
}

/** The principal of a request; null before it is authenticated. */
export function requestPrincipalOf(request: FastifyRequest): RequestPrincipal | null {
  return holders.get(request)?.context.principal ?? null
}

/**
 * The address that a request came from. Unlike `request.ip` it does not throw when the connection has ended, which sets
 * the socket to null.
 */
export function requestAddressOf(request: FastifyRequest): string | undefined {
  const known = holders.get(request)?.address
  const socket: unknown = request.raw.socket
  return known === undefined && socket !== null ? request.ip : known
}

/** Records the principal of the current request. */
export function setRequestPrincipal(principal: RequestPrincipal): void {
  const holder = requestContext.get('holder')
  if (holder !== undefined) holder.context = { ...holder.context, principal }
}

/**
 * Names the account of a request whose service did not send a context, as previous versions do. The address of such a
 * request is that of the service, so the client's is unknown. Does nothing if the request has a principal.
 */
export function setAccountOfPreviousVersion(accountId: string): void {
  const holder = requestContext.get('holder')
  if (holder === undefined || holder.context.principal !== null) return
  const principal = { kind: 'user', id: accountId, name: null } as const
  holder.context = { ...holder.context, address: null, principal }
}

/**
 * Takes over the context that another service sends, on the routes of `app`. Only for routes that require the service
 * credential: anybody else could name any principal. A request without the header, as previous versions send it, keeps
 * its own context.
 */
export function acceptRequestContext(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const given = request.headers[CONTEXT_HEADER]
    const context = typeof given === 'string' ? parseContext(given) : undefined
    const holder = holders.get(request)
    if (context !== undefined && holder !== undefined) holder.context = context
  })
}

/** The header that passes the current context to another service; none outside of requests. */
export function requestContextHeaders(): Readonly<Record<string, string>> {
  const context = currentRequestContext()
  if (context === undefined) return {}
  return { [CONTEXT_HEADER]: Buffer.from(JSON.stringify(context)).toString('base64url') }
}

function parseContext(header: string): RequestContext | undefined {
  if (header.length > MAX_HEADER_LENGTH) return undefined
  const value = parseJson(Buffer.from(header, 'base64url').toString())
  const { requestId, address, principal } = Object(value) as Record<string, unknown>
  if (typeof requestId !== 'string' || !isStringOrNull(address)) return undefined
  if (principal === null) return { requestId, address, principal }
  const { kind, id, name, via } = Object(principal) as Record<string, unknown>
  if (!KINDS.has(kind) || !isStringOrNull(id) || !isStringOrNull(name)) return undefined
  const named = { kind: kind as RequestPrincipal['kind'], id, name }
  if (via === undefined) return { requestId, address, principal: named }
  const credential = Object(via) as Record<string, unknown>
  if (typeof credential['id'] !== 'string' || typeof credential['name'] !== 'string') return undefined
  return {
    requestId,
    address,
    principal: { ...named, via: { id: credential['id'], name: credential['name'] } },
  }
}

function isStringOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}
