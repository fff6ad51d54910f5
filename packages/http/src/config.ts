import { readFileSync } from 'node:fs'
import { explainError } from './explain-error.ts'
import type { Static, TObject } from 'typebox'
import { Value } from 'typebox/value'

/** Invalid settings. Each fault names its variable and describes valid values. */
export class ConfigError extends Error {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`the configuration is not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/**
 * Reads settings from environment variables. The schema's property names are the variables' names. Each value can come
 * from a file instead, whose path is in `NAME_FILE`. Empty variables count as absent. Throws ConfigError that names
 * every invalid variable, without its value: it may be a secret.
 */
export function readEnvironment<Schema extends TObject>(
  schema: Schema,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Static<Schema>> {
  const faults: string[] = []
  const given: Record<string, unknown> = {}
  for (const name of Object.keys(schema.properties)) {
    const file = env[`${name}_FILE`]
    if (env[name] && file) faults.push(`${name} and ${name}_FILE are both set: set one of them`)
    const value = env[name] || (file && readSecretFile(name, file, faults))
    if (value) given[name] = convertValue(schema.properties[name] as { type?: string }, value)
  }
  const values = Value.Default(schema, given)
  for (const [name, property] of Object.entries(schema.properties)) {
    const value = (values as Record<string, unknown>)[name]
    if (value === undefined) {
      const unread = env[`${name}_FILE`] !== undefined
      if (schema.required?.includes(name) && !unread)
        faults.push(`${name} is required${describe(schema, name)}`)
      continue
    }
    const [fault] = Value.Errors(property, value)
    if (fault !== undefined) faults.push(`${name} ${describeFault(fault, property)}${describe(schema, name)}`)
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return Object.freeze(values as Static<Schema>)
}

/**
 * Converts the string of a variable to the type of its setting. Validation refuses a string that cannot be converted.
 */
function convertValue({ type }: { type?: string }, text: string): unknown {
  if (type === 'integer' && /^\d{1,15}$/.test(text)) return Number(text)
  if (type === 'number' && /^\d{1,15}(?:\.\d{1,15})?$/.test(text)) return Number(text)
  if (type === 'boolean' && /^(?:true|false|1|0)$/.test(text)) return text === 'true' || text === '1'
  return text
}

function readSecretFile(name: string, file: string, faults: string[]): string | undefined {
  try {
    const value = readFileSync(file, 'utf8').trimEnd()
    if (value === '') faults.push(`${name}_FILE names an empty file: ${file}`)
    return value
  } catch (error) {
    faults.push(`${name}_FILE cannot be read: ${explainError(error)}`)
    return undefined
  }
}

/** Describes a schema's fault. A pattern appears only if the setting has no description. */
function describeFault(
  fault: { keyword: string; message: string },
  property: { description?: string },
): string {
  if (fault.keyword === 'pattern') {
    return property.description === undefined
      ? `has the wrong form: it ${fault.message}`
      : 'has the wrong form'
  }
  return fault.message
}

function describe(schema: TObject, name: string): string {
  const { description } = schema.properties[name] as { description?: string }
  return description === undefined ? '' : ` (${description})`
}
