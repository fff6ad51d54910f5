import { TAG_GLOB_PATTERN } from '@registry-manager/oci'
import type { FieldFault } from '@registry-manager/http'
import { isNetwork } from '@registry-manager/http'
import type { Conditions } from '@registry-manager/principal'
import type { Static } from 'typebox'
import { Type } from 'typebox'

const MAX_NETWORKS = 20

const time = (description: string, example: string) =>
  Type.String({ format: 'date-time', maxLength: 64, description, examples: [example] })

/** The conditions of a grant, a token or a trust rule, as management APIs take and show them. */
export const ConditionsInput = Type.Object(
  {
    networks: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), {
        minItems: 1,
        maxItems: MAX_NETWORKS,
        description: "Addresses and CIDR ranges, one of which must contain the client's address.",
        examples: [['10.0.0.0/8', '2001:db8::/32']],
      }),
    ),
    notBefore: Type.Optional(time('The right counts from this time on.', '2027-01-01T00:00:00Z')),
    notAfter: Type.Optional(time('The right counts before this time.', '2027-06-30T00:00:00Z')),
    tags: Type.Optional(
      Type.String({
        pattern: TAG_GLOB_PATTERN,
        'x-rule': 'must be 1 to 128 letters, digits or . _ - *, such as v*',
        description: 'A pattern of the tags that may be pushed; `*` stands for any characters.',
        examples: ['v*'],
      }),
    ),
  },
  {
    additionalProperties: false,
    description: 'The right counts only while all conditions that are given hold.',
  },
)

/**
 * The stored form of conditions: networks sorted, times in UTC, and nothing instead of an empty object. A fault names a
 * field below `field`, the field that has the conditions.
 */
export function parseConditions(
  given: Static<typeof ConditionsInput> | undefined,
  field = 'conditions',
): { readonly conditions: Conditions | undefined } | { readonly fault: FieldFault } {
  const { networks, notBefore, notAfter, tags } = given ?? {}
  const badNetwork = networks?.find((network) => !isNetwork(network))
  if (badNetwork !== undefined) {
    const detail = `must have addresses or CIDR ranges such as 10.0.0.0/8; ${badNetwork} is neither`
    return { fault: { field: `${field}.networks`, detail } }
  }
  for (const [name, text] of Object.entries({ notBefore, notAfter })) {
    if (text !== undefined && Number.isNaN(Date.parse(text))) {
      return { fault: { field: `${field}.${name}`, detail: 'must be a time such as 2027-06-30T00:00:00Z' } }
    }
  }
  if (notBefore !== undefined && notAfter !== undefined && Date.parse(notAfter) <= Date.parse(notBefore)) {
    return { fault: { field: `${field}.notAfter`, detail: 'must be after notBefore' } }
  }
  const conditions: Conditions = {
    ...(networks && { networks: [...new Set(networks)].toSorted() }),
    ...(notBefore !== undefined && { notBefore: new Date(notBefore).toISOString() }),
    ...(notAfter !== undefined && { notAfter: new Date(notAfter).toISOString() }),
    ...(tags !== undefined && { tags }),
  }
  return { conditions: Object.keys(conditions).length === 0 ? undefined : conditions }
}

/** Conditions in a response. */
export function toConditionsBody(
  conditions: Conditions | undefined,
): Static<typeof ConditionsInput> | undefined {
  if (conditions === undefined) return undefined
  const { networks, ...rest } = conditions
  return { ...rest, ...(networks && { networks: [...networks] }) }
}

/** Whether two conditions are equal. Postgres' jsonb does not keep the order of members. */
export function areSameConditions(one: Conditions | undefined, other: Conditions | undefined): boolean {
  const serialize = (conditions: Conditions = {}) => JSON.stringify(Object.entries(conditions).toSorted())
  return serialize(one) === serialize(other)
}
