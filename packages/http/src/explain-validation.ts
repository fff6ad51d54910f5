import type { FastifySchemaValidationError } from 'fastify'

/** The invalid field of a request, and a sentence about valid values. */
export interface ExplainedFault {
  readonly detail: string
  readonly field?: string
}

/**
 * The keyword with a schema's rule in plain words, such as `must be 2 to 63 letters`. It is the message about any fault
 * of the value. Schemas with a `pattern` need one: nobody should have to read a regular expression.
 */
export const RULE = 'x-rule'

/** The parts of a JSON schema that messages about its faults use. */
interface ValueSchema {
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly properties?: Readonly<Record<string, { readonly const?: unknown }>>
  readonly oneOf?: readonly ValueSchema[]
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
}
const FORMATS: Readonly<Record<string, string>> = {
  'date-time': 'a time such as 2027-06-30T00:00:00Z',
  uuid: 'a UUID',
}
/** Fastify's names of the parts of a request, in words. */
const PARTS: Readonly<Record<string, string>> = { querystring: 'query', params: 'path' }

/**
 * Describes the first schema fault in a part of a request (`body`, `querystring`, `params`, `headers`) and names its
 * field. With the schema of that part, a sentence about a range names both of its ends.
 */
export function explainValidation(
  faults: readonly FastifySchemaValidationError[],
  context = 'body',
  schema?: unknown,
): ExplainedFault {
  const part = PARTS[context] ?? context
  const [fault] = faults
  if (fault === undefined) return { detail: `the ${part} is not valid` }
  const { keyword, params, instancePath, message } = fault
  const place = instancePath.slice(1).replaceAll('/', '.')
  const named = (field: string, what: string) => ({ field, detail: `${field} ${what}` })
  if (keyword === 'required') return named(String(params['missingProperty']), isIn(place, 'is required'))
  const { own, rule } = schemaOf(schema, fault.schemaPath)
  if (keyword === 'additionalProperties') {
    return explainUnknownField(String(params['additionalProperty']), Object.keys(own.properties ?? {}), place)
  }
  if (keyword === 'discriminator') {
    // `params.tag` is the field with the fault; the path is that of the object.
    const tag = String(params['tag'])
    const values = own.oneOf?.map(({ properties }) => String(properties?.[tag]?.const)) ?? []
    return named(tag, isIn(place, `must be one of ${values.join(', ')}`))
  }
  const requirement = rule ?? describeRequirement(faults, fault, own) ?? message ?? 'is not valid'
  return place === '' ? { field: part, detail: `the ${part} ${requirement}` } : named(place, requirement)
}

/** Describes a field that the object at `place` does not have; an empty place is the whole part of the request. */
export function explainUnknownField(
  field: string,
  known: readonly string[],
  place = '',
): Required<ExplainedFault> {
  const list = known.length === 0 ? '' : `; known fields are ${known.join(', ')}`
  return { field, detail: `${field} ${isIn(place, 'is not a known field')}${list}` }
}

function isIn(place: string, what: string): string {
  return place === '' ? what : `${what} in ${place}`
}

/**
 * The schema of the value with a fault, `#/properties/limit` for `#/properties/limit/minimum`, and the rule of the
 * value: its schema's own, or that of the union which the schema is a member of.
 */
function schemaOf(schema: unknown, schemaPath: string): { own: ValueSchema; rule: string | undefined } {
  let own = schema as Record<string, unknown> | undefined
  let rule = own?.[RULE]
  for (const key of schemaPath.split('/').slice(1, -1)) {
    // From here on the path is about another value.
    if (key === 'properties' || key === 'items') rule = undefined
    own = own?.[key.replaceAll('~1', '/').replaceAll('~0', '~')] as typeof own
    rule = own?.[RULE] ?? rule
  }
  return { own: own ?? {}, rule: typeof rule === 'string' ? rule : undefined }
}

function describeRequirement(
  faults: readonly FastifySchemaValidationError[],
  { keyword, params, instancePath }: FastifySchemaValidationError,
  schema: ValueSchema,
): string | undefined {
  // A value that may have several types or values fails once for each of them.
  const alternatives = (name: string) =>
    faults
      .filter((fault) => fault.keyword === keyword && fault.instancePath === instancePath)
      .map((fault) => String(fault.params[name]))
  const limit = Number(params['limit'])
  switch (keyword) {
    case 'type': {
      const types = alternatives('type')
      if (types.length === 1 && types[0] === 'integer') return `must be ${wholeNumber(schema)}`
      return `must be ${types.map((type) => TYPES[type] ?? type).join(' or ')}`
    }
    case 'enum':
      return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`
    case 'const': {
      const values = alternatives('allowedValue')
      return values.length === 1 ? `must be ${values[0]}` : `must be one of ${values.join(', ')}`
    }
    case 'format':
      return `must be ${FORMATS[String(params['format'])] ?? `of the format ${String(params['format'])}`}`
    case 'minimum':
    case 'maximum':
      return `must be ${wholeNumber({ [keyword]: limit, ...schema })}`
    case 'minLength':
    case 'maxLength':
      return lengthOf({ [keyword]: limit, ...schema })
    case 'maxItems':
      return `must have at most ${limit} entries`
    case 'minItems':
      return `must have at least ${limit} entries`
    default:
      return undefined
  }
}

function wholeNumber({ minimum, maximum }: ValueSchema): string {
  if (minimum === undefined)
    return maximum === undefined ? 'a whole number' : `a whole number up to ${maximum}`
  return maximum === undefined
    ? `a whole number of ${minimum} or more`
    : `a whole number from ${minimum} to ${maximum}`
}

function lengthOf({ minLength = 0, maxLength }: ValueSchema): string {
  if (maxLength === undefined) {
    return minLength === 1 ? 'must not be empty' : `must have at least ${minLength} characters`
  }
  return minLength === 0
    ? `must have at most ${maxLength} characters`
    : `must have ${minLength} to ${maxLength} characters`
}
