import { Type } from 'typebox'
import type { ManagedRegistryToken } from '../principals/registry-token.ts'
import { stateOf } from '../principals/registry-token.ts'
import { scopeNotes } from './registry-token-scope.ts'
import { formatTime } from '../provider-api/provider-format.ts'

/*
 * Registry tokens as JSON, with the fields in the order of seed 004.
 * Source: the provider's public SDKs, `TokenResponse`, `TokensResponse`, `PostTokenInput`, `PatchTokenInput`.
 */

const closed = { additionalProperties: false }
const nullable = <Schema extends object>(schema: Schema) => Type.Union([schema, Type.Null()])

const GivenScope = Type.Object(
  { type: Type.String(), name: Type.String(), actions: nullable(Type.Array(Type.String())) },
  closed,
)
const given = {
  expiryDate: Type.Optional(nullable(Type.String({ format: 'date-time' }))),
  scopes: Type.Optional(nullable(Type.Array(GivenScope))),
  status: Type.Optional(Type.Enum(['enabled', 'disabled'])),
}

/** `PostTokenInput` and `PutTokenInput`. */
export const NewRegistryTokenBody = Type.Object(
  { properties: Type.Object({ name: Type.String(), ...given }, closed) },
  closed,
)
/** Without a body, a PUT replaces only the password. */
export const ReplaceRegistryTokenBody = nullable(NewRegistryTokenBody)
/** `PatchTokenInput`. */
export const ChangeRegistryTokenBody = Type.Object(given, closed)

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
    credentials: Type.Object({ username: Type.String(), password: Type.String() }),
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
  const { id, username, scopes, expiresAt, enabled, createdAt, createdBy, modified, lastUsed } = registryToken
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
      credentials: { username, password },
    },
  }
}
