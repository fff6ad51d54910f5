import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField, ProblemError, queryOf } from '@registry-manager/http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { BASE, idOf, notFound, pageLinks, pageOf } from '../provider-api/provider-format.ts'
import { principalOf } from '../sign-in/require-principal.ts'
import type { ManageRegistryTokens, Refused, WithPassword } from './manage-registry-tokens.ts'
import type { PrincipalName } from '../principals/registry-token.ts'
import { registryTokenBody } from './registry-token-json.ts'
import { REGISTRY_TOKEN_SCHEMAS as SCHEMAS } from './registry-token-schemas.ts'

export interface RegistryTokensRoutesOptions {
  readonly registryTokens: ManageRegistryTokens
  /** Returns the id of this registry if a request's path names it; throws 404 otherwise. */
  readonly registryOf: (request: FastifyRequest) => Promise<string>
  readonly now: () => number
}

const TOKENS = '/registries/:registryId/tokens'
const TOKEN = `${TOKENS}/:tokenId`

/** The management of registry tokens (seed 004). Register it where only cluster administrators are let in. */
export const registryTokensRoutes: FastifyPluginAsyncTypebox<RegistryTokensRoutesOptions> = async (
  app,
  { registryTokens, registryOf, now },
) => {
  const pathOf = (registryId: string) => `${BASE}/registries/${registryId}/tokens`

  /** The id of the registry token that a request's path names, and its `href`. */
  const targetOf = async (request: FastifyRequest, { tokenId }: { readonly tokenId: string }) => {
    const registryId = await registryOf(request)
    const id = idOf(tokenId)
    if (id === undefined) throw notFound('token')
    return { id, href: `${pathOf(registryId)}/${id}` }
  }

  /** The only response with the password. Its `href` is empty, as the provider's is. */
  const passwordBody = (reply: FastifyReply, { registryToken, password }: WithPassword) => {
    reply.header('cache-control', 'no-store')
    return registryTokenBody(registryToken, now(), { password })
  }

  app.get(TOKENS, { schema: SCHEMAS.list }, async (request) => {
    const registryId = await registryOf(request)
    const page = pageOf(request.query)
    const seconds = request.query['filter.expiresWithin']
    const expiring =
      seconds === undefined ? undefined : { after: new Date(now()), until: new Date(now() + seconds * 1000) }
    const found = await registryTokens.list({ ...page, expiring })
    const href = pathOf(registryId)
    const { self, next = '', previous = '' } = pageLinks(href, queryOf(request.url), page, found.total)
    const items = found.items.map((one) => registryTokenBody(one, now(), { href: `${href}/${one.id}` }))
    return {
      id: registryId,
      type: 'collection',
      href,
      items,
      count: items.length,
      total: found.total,
      ...page,
      _links: { next, previous, self },
    }
  })

  app.post(TOKENS, { schema: SCHEMAS.create }, async (request, reply) => {
    const registryId = await registryOf(request)
    const result = await registryTokens.create(request.body.properties, nameOf(request))
    if (result.outcome !== 'created') throw problemOf(result)
    reply.header('location', `${pathOf(registryId)}/${result.registryToken.id}`)
    return passwordBody(reply, result)
  })

  app.get(TOKEN, { schema: SCHEMAS.get }, async (request) => {
    const { id, href } = await targetOf(request, request.params)
    const registryToken = await registryTokens.find(id)
    if (registryToken === undefined) throw notFound('token')
    return registryTokenBody(registryToken, now(), { href })
  })

  app.put(TOKEN, { schema: SCHEMAS.replace }, async (request, reply) => {
    const { id, href } = await targetOf(request, request.params)
    const { overlap = 0 } = request.query
    const input = request.body?.properties ?? null
    const result = await registryTokens.replace(id, input, overlap * 1000, nameOf(request))
    if (!('password' in result)) throw problemOf(result)
    if (result.outcome === 'created') reply.code(201).header('location', href)
    return passwordBody(reply, result)
  })

  app.patch(TOKEN, { schema: SCHEMAS.change }, async (request) => {
    const { id, href } = await targetOf(request, request.params)
    const result = await registryTokens.change(id, request.body, nameOf(request))
    if (result.outcome !== 'changed') throw problemOf(result)
    return registryTokenBody(result.registryToken, now(), { href })
  })

  app.delete(TOKEN, { schema: SCHEMAS.delete }, async (request, reply) => {
    const { id } = await targetOf(request, request.params)
    if (!(await registryTokens.delete(id))) throw notFound('token')
    return reply.code(204).send(null)
  })
}

function nameOf(request: FastifyRequest): PrincipalName {
  const { id, username } = principalOf(request)
  return { id, username }
}

function problemOf(refused: Refused): ProblemError {
  if (refused.outcome === 'absent') return notFound('token')
  // The provider's API has the same text: its clients may compare it.
  if (refused.outcome === 'taken') {
    return new ProblemError({ status: 409, detail: 'already exists: name is not available', field: 'name' })
  }
  return badField(refused.fault)
}
