import { problemResponses } from '@registry-manager/http'
import {
  AccountResponse,
  ExchangeRequest,
  ExchangeResponse,
  IssuedToken,
  Revocations,
  ServiceTokenRequest,
} from '@registry-manager/principal'
import { Type } from 'typebox'

/** Bearer with the service credential. */
const common = { tags: ['internal'], security: [{ bearer: [] }] }

/** The schemas of the internal API. Its clients in `packages/principal` share them. */
export const INTERNAL_SCHEMAS = {
  serviceToken: {
    ...common,
    operationId: 'createServiceToken',
    summary: 'Issue an access token for a service',
    body: ServiceTokenRequest,
    response: { 200: IssuedToken, ...problemResponses(400, 401, 413, 415) },
  },
  exchange: {
    ...common,
    operationId: 'exchangeCredentials',
    summary: 'Exchange Basic credentials for an access token',
    description: 'For refused credentials the response is 200 with the outcome.',
    body: ExchangeRequest,
    response: { 200: ExchangeResponse, ...problemResponses(400, 401, 413, 415, 503) },
  },
  account: {
    ...common,
    operationId: 'getAccount',
    summary: 'Get the rights of an active account',
    params: Type.Object({ uid: Type.String({ format: 'uuid' }) }),
    response: { 200: AccountResponse, ...problemResponses(400, 401, 404, 503) },
  },
  personalToken: {
    ...common,
    operationId: 'getPersonalTokenRights',
    summary: 'Get the rights of an active account, as far as a personal token acts for it',
    params: Type.Object({ uid: Type.String({ format: 'uuid' }), via: Type.String({ format: 'uuid' }) }),
    response: { 200: AccountResponse, ...problemResponses(400, 401, 404, 503) },
  },
  revocations: {
    ...common,
    operationId: 'getRevocations',
    summary: 'Get the revocation list',
    description: 'With an `ETag`; 304 if `If-None-Match` has it.',
    response: {
      200: Revocations,
      304: Type.Null({ description: 'The list has not changed.' }),
      ...problemResponses(401, 503),
    },
  },
}
