import type { FastifySchemaValidationError } from 'fastify'

/** The invalid field of a request, and a sentence that says what would be right. */
export interface ExplainedFault {
  readonly detail: string
  readonly field?: string
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

/** Describes the first schema fault in a part of a request (`body`, `querystring`, `params`) and names its field. */
export function explainValidation(
  faults: readonly FastifySchemaValidationError[],
  part = 'body',
): ExplainedFault {
  const [fault] = faults
  if (fault === undefined) return { detail: `the ${part} is not valid` }
  const { keyword, params, instancePath, message } = fault
  const place = instancePath.slice(1).replaceAll('/', '.')
  const named = (field: string, what: string) => ({ field, detail: `${field} ${what}` })
  if (keyword === 'required') return named(String(params['missingProperty']), isIn(place, 'is required'))
  if (keyword === 'additionalProperties') {
    return named(String(params['additionalProperty']), isIn(place, 'is not a known field'))
  }
  const right = rightOf(faults, keyword, params, instancePath) ?? message ?? 'is not valid'
  return place === '' ? { field: part, detail: `the ${part} ${right}` } : named(place, right)
}

function isIn(place: string, what: string): string {
  return place === '' ? what : `${what} in ${place}`
}

function rightOf(
  faults: readonly FastifySchemaValidationError[],
  keyword: string,
  params: Record<string, unknown>,
  path: string,
): string | undefined {
  switch (keyword) {
    case 'type': {
      // A value that may have several types fails once for each of them.
      const types = faults.filter((one) => one.keyword === 'type' && one.instancePath === path)
      return `must be ${types.map(({ params: { type } }) => TYPES[String(type)] ?? String(type)).join(' or ')}`
    }
    case 'enum':
      return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`
    case 'format':
      return `must be ${FORMATS[String(params['format'])] ?? `of the format ${String(params['format'])}`}`
    case 'maxItems':
      return `must have at most ${String(params['limit'])} entries`
    case 'minItems':
      return `must have at least ${String(params['limit'])} entries`
    default:
      return undefined
  }
}
