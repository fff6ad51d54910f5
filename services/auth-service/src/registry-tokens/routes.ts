import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ProblemError } from '@registry-manager/http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { MadeToken, RegistryTokensStore } from './manage-registry-tokens.ts'
import type { GivenToken } from './plan-registry-token.ts'
import { planNewToken, planTokenChange } from './plan-registry-token.ts'
import type { Actor, ManagedToken } from './registry-token.ts'
import type { FieldFault } from '../accounts/user-input.ts'
import { principalOf } from '../sign-in/require-principal.ts'
import { queryOf } from '../access-tokens/form.ts'
import { BASE, idOf, notFound, pageLinks, parsePage, wholeNumber } from '../provider-api/provider-format.ts'
import {
  ChangeTokenBody,
  NewTokenBody,
  ReplaceTokenBody,
  TokenBody,
  TokensBody,
  tokenBody,
} from './registry-token-json.ts'

export interface RegistryTokensOptions {
  readonly tokens: RegistryTokensStore
  /** The id of this registry, when it is the one that a request names; throws 404 otherwise. */
  readonly registryOf: (request: FastifyRequest) => Promise<string>
  readonly now: () => number
}

const TOKENS = '/registries/:registryId/tokens'
const MAX_OVERLAP_SECONDS = 30 * 86_400
const MAX_SOON_SECONDS = 10 * 365 * 86_400

/** Registry tokens (seed 004): to be registered where only cluster administrators come. */
export const registryTokens: FastifyPluginAsyncTypebox<RegistryTokensOptions> = async (app, options) => {
  const { tokens, registryOf, now } = options
  const pathOf = (registryId: string) => `${BASE}/registries/${registryId}/tokens`

  const listed = { schema: { response: { 200: TokensBody } }, config: { filters: ['filter.expiresWithin'] } }
  app.get(TOKENS, listed, async (request) => {
    const registryId = await registryOf(request)
    const query = queryOf(request.url)
    const page = parsePage(query)
    const soon = wholeNumber(query, 'filter.expiresWithin', 1, MAX_SOON_SECONDS)
    const expiring = soon === undefined ? undefined : { after: new Date(now()), until: after(now(), soon) }
    const asked = { ...page, expiring }
    const [found, total] = [await tokens.list(asked), await tokens.count(asked)]
    const href = pathOf(registryId)
    const { self, next = '', previous = '' } = pageLinks(href, query, page, total)
    const items = found.map((token) => tokenBody(token, now(), { href: `${href}/${token.id}` }))
    const links = { next, previous, self }
    return {
      id: registryId,
      type: 'collection',
      href,
      items,
      count: items.length,
      total,
      ...page,
      _links: links,
    }
  })

  app.post(
    TOKENS,
    { schema: { body: NewTokenBody, response: { 200: TokenBody } } },
    async (request, reply) => {
      const registryId = await registryOf(request)
      const made = await create(request, request.body.properties)
      return sendMade(reply.header('location', `${pathOf(registryId)}/${made.token.id}`), made)
    },
  )

  app.get(`${TOKENS}/:tokenId`, { schema: { response: { 200: TokenBody } } }, async (request) => {
    const { href, id } = await named(request)
    return tokenBody((await tokens.findById(id)) ?? notThere(), now(), { href })
  })

  app.put(
    `${TOKENS}/:tokenId`,
    { schema: { body: ReplaceTokenBody, response: { 200: TokenBody, 201: TokenBody } } },
    async (request, reply) => {
      const { id, href } = await named(request)
      const current = await tokens.findById(id)
      if (current === undefined) {
        // Source: RFC 9110 §9.3.4; the provider's command line tool deletes a token and puts it back under its id.
        const made = await create(request, request.body?.properties ?? notThere(), id)
        return sendMade(reply.code(201).header('location', href), made)
      }
      const change = request.body ? replacement(current, request.body.properties, now()) : undefined
      const overlap = wholeNumber(queryOf(request.url), 'overlap', 0, MAX_OVERLAP_SECONDS) ?? 0
      const rotation = { change, overlapMs: overlap * 1000 }
      return sendMade(reply, (await tokens.rotate(id, rotation, actorOf(request))) ?? notThere())
    },
  )

  app.patch(
    `${TOKENS}/:tokenId`,
    { schema: { body: ChangeTokenBody, response: { 200: TokenBody } } },
    async (request) => {
      const { href, id } = await named(request)
      const planned = planTokenChange(request.body)
      if ('fault' in planned) throw badField(planned.fault)
      const changed = await tokens.change(id, planned.change, actorOf(request))
      return tokenBody(changed ?? notThere(), now(), { href })
    },
  )

  app.delete(`${TOKENS}/:tokenId`, async (request, reply) => {
    const { id } = await named(request)
    if (!(await tokens.delete(id))) notThere()
    return reply.code(204).send()
  })

  const create = async (request: FastifyRequest, given: GivenToken, id?: string): Promise<MadeToken> => {
    const planned = planNewToken(given, now())
    if ('fault' in planned) throw badField(planned.fault)
    const made = await tokens.create(planned.plan, actorOf(request), id)
    if (made !== undefined) return made
    const detail = 'already exists: name is not available'
    throw new ProblemError({ status: 409, detail, field: 'name' })
  }

  /** The id that a request names, and its token's address. */
  const named = async (request: FastifyRequest) => {
    const registryId = await registryOf(request)
    const id = idOf((request.params as { tokenId: string }).tokenId) ?? notThere()
    return { id, href: `${pathOf(registryId)}/${id}` }
  }

  /** The one answer that has the password. Its `href` is empty, as the provider's is. */
  const sendMade = (reply: FastifyReply, { token, password }: MadeToken) => {
    reply.header('cache-control', 'no-store')
    return tokenBody(token, now(), { password })
  }
}

function replacement(current: ManagedToken, given: GivenToken, nowMs: number) {
  const planned = planNewToken(given, nowMs)
  if ('fault' in planned) throw badField(planned.fault)
  const { name, ...change } = planned.plan
  if (name === current.username) return change
  throw badField({ field: 'name', detail: `cannot be changed: it is ${current.username}` })
}

function actorOf(request: FastifyRequest): Actor {
  const { id, username } = principalOf(request)
  return { id, username }
}

function after(nowMs: number, seconds: number): Date {
  return new Date(nowMs + seconds * 1000)
}

function badField({ field, detail }: FieldFault): ProblemError {
  return new ProblemError({ status: 400, detail: `${field} ${detail}`, field })
}

function notThere(): never {
  throw notFound('token')
}
