import { Type } from 'typebox'
import { ConditionsInput, toConditionsBody } from '../access/conditions.ts'
import type { ManagedRegistryToken } from '../principals/registry-token.ts'
import { REGISTRY_TOKEN_NAME, stateOf } from '../principals/registry-token.ts'
import { GivenScope, scopeNotes } from '../principals/scope.ts'
import { formatTime } from '../provider-api/provider-format.ts'

/*
 * Registry tokens as JSON, with the fields in the order of seed 004.
 * Source: the provider's public SDKs, `TokenResponse`, `TokensResponse`, `PostTokenInput`, `PatchTokenInput`.
 */

const closed = { additionalProperties: false }
const nullable = <Schema extends object>(schema: Schema) => Type.Union([schema, Type.Null()])

const given = {
  expiryDate: Type.Optional(
    nullable(
      Type.String({
        format: 'date-time',
        description: 'From this second on, the registry token and its access tokens are refused.',
      }),
    ),
  ),
  scopes: Type.Optional(nullable(Type.Array(GivenScope, { maxItems: 100 }))),
  status: Type.Optional(Type.Enum(['enabled', 'disabled'])),
  conditions: Type.Optional(nullable(ConditionsInput)),
}
const name = Type.String({
  pattern: REGISTRY_TOKEN_NAME.source,
  'x-rule': 'must be 2 to 63 letters, digits or -, begin with a letter, and not end with -',
  description: 'Unique among registry tokens and users, case-insensitively.',
})

const EXAMPLE = {
  name: 'ci-team',
  expiryDate: '2036-06-30T00:00:00Z',
  scopes: [{ type: 'repository', name: 'team/*', actions: ['pull', 'push'] }],
}

/** `PostTokenInput` and `PutTokenInput`. */
export const NewRegistryTokenBody = Type.Object(
  { properties: Type.Object({ name, ...given }, closed) },
  { ...closed, examples: [{ properties: EXAMPLE }] },
)
/** Without a body, a PUT replaces only the password. */
export const ReplaceRegistryTokenBody = Type.Union([NewRegistryTokenBody, Type.Null()], {
  examples: [{ properties: EXAMPLE }],
})
/** `PatchTokenInput`. */
export const ChangeRegistryTokenBody = Type.Object(given, { ...closed, examples: [{ status: 'disabled' }] })

export const RegistryTokenBody = Type.Object({
  id: Type.String(),
  type: Type.String(),
  href: Type.String(),
  metadata: Type.Object({
    createdBy: Type.String(),
    createdByUserId: Type.String(),
    createdDate: Type.String(),
    lastModifiedBy: Type.Optional(Type.String()),
    lastModifiedByUserId: Type.Optional(Type.String()),
    lastModifiedDate: Type.Optional(Type.String()),
    lastUsedDate: Type.Optional(Type.String()),
    lastUsedAddress: Type.Optional(Type.String()),
    notes: Type.Optional(Type.Array(Type.String())),
    state: Type.String(),
  }),
  properties: Type.Object({
    name: Type.String(),
    scopes: Type.Array(
      Type.Object({ actions: Type.Array(Type.String()), name: Type.String(), type: Type.String() }),
    ),
    expiryDate: nullable(Type.String()),
    status: Type.String(),
    conditions: Type.Optional(ConditionsInput),
    credentials: Type.Object({
      username: Type.String(),
      password: Type.String({ description: 'Empty, except in the response that makes it.' }),
    }),
  }),
})

export const RegistryTokensBody = Type.Object({
  id: Type.String(),
  type: Type.String(),
  href: Type.String(),
  items: Type.Array(RegistryTokenBody),
  count: Type.Integer(),
  total: Type.Integer(),
  offset: Type.Integer(),
  limit: Type.Integer(),
  _links: Type.Object({ next: Type.String(), previous: Type.String(), self: Type.String() }),
})

/** A registry token as the API shows it. Only the response that creates or replaces the password has `password`. */
export function registryTokenBody(
  registryToken: ManagedRegistryToken,
  nowMs: number,
  { href = '', password = '' },
) {
  const notes = scopeNotes(registryToken.scopes)
  const { id, username, scopes, expiresAt, enabled, conditions } = registryToken
  const { createdAt, createdBy, modified, lastUsed } = registryToken
  return {
    id,
    type: 'token',
    href,
    metadata: {
      createdBy: createdBy.username,
      createdByUserId: createdBy.id,
      createdDate: formatTime(createdAt),
      ...(modified && {
        lastModifiedBy: modified.by.username,
        lastModifiedByUserId: modified.by.id,
        lastModifiedDate: formatTime(modified.at),
      }),
      ...(lastUsed && { lastUsedDate: formatTime(lastUsed.at), lastUsedAddress: lastUsed.address }),
      ...(notes.length > 0 && { notes }),
      state: stateOf(registryToken, nowMs),
    },
    properties: {
      name: username,
      scopes: scopes.map(({ type, name, actions }) => ({ actions: [...actions], name, type })),
      expiryDate: expiresAt && formatTime(expiresAt),
      status: enabled ? 'enabled' : 'disabled',
      // The provider has no conditions: without them a registry token looks exactly like one of the provider.
      ...(conditions && { conditions: toConditionsBody(conditions) }),
      credentials: { username, password },
    },
  }
}
