import { explainValidation } from '@registry-manager/http'
import type { ErrorObject, ValidateFunction } from 'ajv'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import type { TSchema } from 'typebox'
import type { Path } from './access-file.ts'
import { toPath } from './access-file.ts'

export interface EntryFault {
  /** From the entry to the value with the fault. */
  readonly path: Path
  /** Names the field, and describes valid values. */
  readonly detail: string
}

const ajv = new Ajv({ allErrors: true, strict: false, verbose: true })
formats.default(ajv)
const compiled = new WeakMap<TSchema, ValidateFunction>()

/** Finds every fault of a value, in the words of the management API. */
export function findSchemaFaults(schema: TSchema, value: unknown): EntryFault[] {
  const validate = compiled.get(schema) ?? ajv.compile(schema)
  compiled.set(schema, validate)
  if (validate(value)) return []
  return withoutAlternatives(validate.errors ?? []).map((error) => {
    const { field, detail } = explainValidation([error as never], 'value', schema)
    const isUnknown = error.keyword === 'additionalProperties'
    const inner = isUnknown && field !== undefined ? [field] : []
    return {
      path: [...pathOf(error.instancePath), ...inner],
      detail: detail.replace(/^the value /, ''),
    }
  })
}

/**
 * A value that fits no alternative has faults for each of them. If the schema has a rule in words, the faults of all
 * alternatives become that rule; otherwise those of the first alternative remain.
 */
function withoutAlternatives(errors: readonly ErrorObject[]): ErrorObject[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf')
  return errors.filter((error) =>
    unions.every((union) => {
      const hasRule = (union.parentSchema as { 'x-rule'?: string } | undefined)?.['x-rule'] !== undefined
      if (error === union) return hasRule || !errors.some((other) => isFirstOf(other, union))
      if (!error.schemaPath.startsWith(`${union.schemaPath}/`)) return true
      if (!error.instancePath.startsWith(union.instancePath)) return true
      return !hasRule && isFirstOf(error, union)
    }),
  )
}

function isFirstOf(error: ErrorObject, union: ErrorObject): boolean {
  return (
    error.schemaPath.startsWith(`${union.schemaPath}/0/`) && error.instancePath.startsWith(union.instancePath)
  )
}

/** The parts of a JSON pointer. Source: RFC 6901 §4. */
function pathOf(pointer: string): Path {
  const parts = pointer.split('/').slice(1)
  return toPath(parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')))
}
