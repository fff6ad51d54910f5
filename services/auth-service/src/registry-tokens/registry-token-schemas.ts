import type { ErrorStatus } from '@registry-manager/http'
import { Type } from 'typebox'
import { listQuery, providerSchema, registryId, tokenId } from '../provider-api/provider-format.ts'
import {
  ChangeRegistryTokenBody,
  NewRegistryTokenBody,
  RegistryTokenBody,
  RegistryTokensBody,
  ReplaceRegistryTokenBody,
} from './registry-token-json.ts'

/*
 * The schemas of the routes that manage registry tokens. The ids in a path have no pattern: an id that names nothing
 * gets 404.
 */

const MAX_OVERLAP_SECONDS = 30 * 86_400
const MAX_EXPIRING_WITHIN_SECONDS = 10 * 365 * 86_400

const BODY_FAULTS = [400, 404, 413, 415] as const
const Registry = Type.Object({ registryId })
const Token = Type.Object({ registryId, tokenId })
const location = { location: { type: 'string', description: 'The path of the registry token.' } }
const schema = <Response extends object>(response: Response, ...statuses: readonly ErrorStatus[]) =>
  providerSchema('registry tokens', response, ...statuses)

export const REGISTRY_TOKEN_SCHEMAS = {
  list: {
    ...schema({ 200: RegistryTokensBody }, 400, 404),
    operationId: 'listRegistryTokens',
    summary: 'List the registry tokens',
    description: 'Sorted by name; with `filter.expiresWithin` by expiry.',
    params: Registry,
    querystring: listQuery({
      'filter.expiresWithin': Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: MAX_EXPIRING_WITHIN_SECONDS,
          description: 'Only enabled registry tokens that expire within this many seconds.',
        }),
      ),
    }),
  },
  create: {
    ...schema(
      {
        200: Type.Object(RegistryTokenBody.properties, {
          description: 'The registry token. Only this response has its password.',
          headers: location,
        }),
      },
      ...BODY_FAULTS,
      409,
    ),
    operationId: 'createRegistryToken',
    summary: 'Create a registry token',
    params: Registry,
    body: NewRegistryTokenBody,
  },
  get: {
    ...schema({ 200: RegistryTokenBody }, 404),
    operationId: 'getRegistryToken',
    summary: 'Get a registry token',
    params: Token,
  },
  replace: {
    ...schema(
      {
        200: Type.Object(RegistryTokenBody.properties, {
          description: 'The registry token. Only this response has its new password.',
        }),
        201: Type.Object(RegistryTokenBody.properties, {
          description: 'There was no such registry token: it is created with this id.',
          headers: location,
        }),
      },
      ...BODY_FAULTS,
      409,
    ),
    operationId: 'replaceRegistryToken',
    summary: 'Generate a new password for a registry token',
    description: 'Without a body the fields stay as they are; with a body all of them are replaced.',
    params: Token,
    querystring: Type.Object({
      overlap: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: MAX_OVERLAP_SECONDS,
          default: 0,
          description: 'Seconds for which the old password stays valid.',
        }),
      ),
    }),
    body: ReplaceRegistryTokenBody,
  },
  change: {
    ...schema({ 200: RegistryTokenBody }, ...BODY_FAULTS),
    operationId: 'changeRegistryToken',
    summary: 'Change a registry token',
    description: 'Fields that are not given keep their values.',
    params: Token,
    body: ChangeRegistryTokenBody,
  },
  delete: {
    ...schema({ 204: Type.Null({ description: 'The registry token is deleted.' }) }, 404),
    operationId: 'deleteRegistryToken',
    summary: 'Delete a registry token',
    description: 'The registry token and its access tokens stop working within 5 seconds.',
    params: Token,
  },
}
