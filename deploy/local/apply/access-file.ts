import type { TrustRuleInput } from '@registry-manager/auth-service/management'
import {
  ChangeRegistryTokenBody,
  GivenRule,
  GrantInput,
  MAX_GRANTS,
  MAX_MAPPINGS,
  MAX_MEMBERS,
  MAX_TRUST_RULES,
  Mapping,
  NewUserInput,
  groupName,
} from '@registry-manager/auth-service/management'
import { IMMUTABILITY_SCHEMAS } from '@registry-manager/image-manager/management'
import { NAMESPACE_PATTERN } from '@registry-manager/oci'
import type { Static } from 'typebox'
import { Type } from 'typebox'

/*
 * The format of access files. The entries have the fields of the management API, so that a list of the API can be
 * copied into a file.
 */

const closed = { additionalProperties: false }
const { role, enabled, ad, provider, username, password_hash: passwordHash } = NewUserInput.properties

/** The namespaces of a user: in a file only as a list. */
const namespaces = Type.Optional(
  Type.Array(
    Type.String({
      pattern: NAMESPACE_PATTERN,
      'x-rule': 'must be repository path components, such as team or team/app',
    }),
    { maxItems: 1000 },
  ),
)

/** `passwordHash` counts for new users only. */
export const UserEntry = Type.Object({ role, enabled, namespaces, ad, provider, passwordHash }, closed)
export const GroupEntry = Type.Object(
  {
    members: Type.Optional(Type.Array(username, { maxItems: MAX_MEMBERS })),
    mappings: Type.Optional(Type.Array(Mapping, { maxItems: MAX_MAPPINGS })),
  },
  closed,
)
export const TokenEntry = ChangeRegistryTokenBody
export const NamespaceEntry = Type.Object(
  {
    grants: Type.Optional(Type.Array(GrantInput, { maxItems: MAX_GRANTS })),
    trustRules: Type.Optional(Type.Array(GivenRule, { maxItems: MAX_TRUST_RULES })),
    immutability: Type.Optional(IMMUTABILITY_SCHEMAS.put.body.properties.rules),
  },
  closed,
)

export type UserEntry = Static<typeof UserEntry>
export type GroupEntry = Static<typeof GroupEntry>
export type TokenEntry = Static<typeof TokenEntry>
export type ImmutabilityRule = Static<typeof IMMUTABILITY_SCHEMAS.put.body>['rules'][number]
export interface NamespaceEntry {
  readonly grants?: readonly GrantInput[]
  readonly trustRules?: readonly TrustRuleInput[]
  /** The rules for immutable tags. */
  readonly immutability?: readonly ImmutabilityRule[]
}

export { groupName as GroupName, username as Username }

/** Keys and positions from the top of a file to a value, such as `namespaces`, `team`, `grants`, 0. */
export type Path = readonly (string | number)[]

/** The path of these parts, in which positions are texts such as `0`. */
export function toPath(parts: readonly string[]): Path {
  return parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}

/** A fault of a file. */
export interface FileFault {
  /** Counted from 1. */
  readonly line: number
  /** Names the field, and describes valid values. */
  readonly text: string
}

/** The content of an access file. A list or field that an entry does not have stays as it is on the server. */
export interface AccessFile {
  /** By username, in lower case. */
  readonly users: ReadonlyMap<string, UserEntry>
  /** By name, in lower case. */
  readonly groups: ReadonlyMap<string, GroupEntry>
  /** By name. */
  readonly registryTokens: ReadonlyMap<string, TokenEntry>
  /** By name; `*` has the grants of the whole installation. */
  readonly namespaces: ReadonlyMap<string, NamespaceEntry>
  /** The line of a value, or of the nearest value that contains it. Names are as in the maps. */
  lineOf(path: Path): number
}
