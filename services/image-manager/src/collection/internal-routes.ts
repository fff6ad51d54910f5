import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ProblemError } from '@registry-manager/http'
import {
  ClaimRequest,
  ClaimResponse,
  ClaimResults,
  ListingEnd,
  ListingPage,
  ListingRequest,
  ListingResponse,
} from '@registry-manager/principal'
import { Type } from 'typebox'
import type { Claims } from './claims.ts'
import type { Listing } from './listing.ts'

export interface CollectionInternalRoutesOptions {
  readonly claims: Claims
  readonly listing: Listing
}

const Params = Type.Object({ id: Type.String({ format: 'uuid' }) })
/** A full page of sha512 digests. */
const bodyLimit = 1024 * 1024
const response = { 204: Type.Null() }

/** Routes for storage workers: claims of data to remove, results of claims, and listings of the storage. */
export const collectionInternalRoutes: FastifyPluginAsyncTypebox<CollectionInternalRoutesOptions> = async (
  app,
  { claims, listing },
) => {
  app.post(
    '/internal/collection/claims',
    { schema: { body: ClaimRequest, response: { 200: ClaimResponse } } },
    ({ body }) => claims.claim(body.limit),
  )

  app.post(
    '/internal/collection/claims/:id/results',
    { bodyLimit, schema: { params: Params, body: ClaimResults, response } },
    async ({ params, body }, reply) => {
      await claims.recordResults(params.id, body)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/internal/collection/listings',
    { schema: { body: ListingRequest, response: { 200: ListingResponse } } },
    async ({ body }) => ({ id: (await listing.begin(body.worker)) ?? null }),
  )

  app.post(
    '/internal/collection/listings/:id/pages',
    { bodyLimit, schema: { params: Params, body: ListingPage, response } },
    async ({ params, body }, reply) => {
      if (!(await listing.addPage(params.id, body))) throw noListing(params.id)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/internal/collection/listings/:id/end',
    { schema: { params: Params, body: ListingEnd, response } },
    async ({ params, body }, reply) => {
      if (!(await listing.end(params.id, body.uploads))) throw noListing(params.id)
      return reply.code(204).send(null)
    },
  )
}

function noListing(id: string): ProblemError {
  const detail = `there is no listing ${id}: it has ended, or sent no page for too long; begin another one`
  return new ProblemError({ status: 409, detail })
}
