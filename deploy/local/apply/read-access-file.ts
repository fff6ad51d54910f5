import { REGISTRY_TOKEN_NAME } from '@registry-manager/auth-service/management'
import { explainUnknownField } from '@registry-manager/http'
import { NAMESPACE_PATTERN } from '@registry-manager/oci'
import type { TSchema } from 'typebox'
import { Type } from 'typebox'
import type { AccessFile, FileFault, Path } from './access-file.ts'
import { GroupEntry, GroupName, NamespaceEntry, TokenEntry, UserEntry, Username } from './access-file.ts'
import { findEntryFaults } from './find-entry-faults.ts'
import { findSchemaFaults } from './find-schema-faults.ts'
import { parseYaml } from './parse-yaml.ts'

interface Section {
  readonly name: Exclude<keyof AccessFile, 'lineOf'>
  /** The word for one entry. */
  readonly one: string
  readonly nameSchema: TSchema
  readonly schema: TSchema
  /** The name in the form in which it is stored and compared. */
  readonly normalise: (name: string) => string
}

const lower = (name: string) => name.toLowerCase()
const asGiven = (name: string) => name

const SECTIONS: readonly Section[] = [
  { name: 'users', one: 'user', nameSchema: Username, schema: UserEntry, normalise: lower },
  { name: 'groups', one: 'group', nameSchema: GroupName, schema: GroupEntry, normalise: lower },
  {
    name: 'registryTokens',
    one: 'registry token',
    nameSchema: Type.String({
      pattern: REGISTRY_TOKEN_NAME.source,
      'x-rule': 'must be 2 to 63 letters, digits or -, begin with a letter, and not end with -',
    }),
    schema: TokenEntry,
    normalise: asGiven,
  },
  {
    name: 'namespaces',
    one: 'namespace',
    nameSchema: Type.String({
      pattern: `^\\*$|${NAMESPACE_PATTERN}`,
      'x-rule': "must be repository path components, such as team or team/app, or '*' for the installation",
    }),
    schema: NamespaceEntry,
    normalise: asGiven,
  },
]

/** Reads an access file. Returns all its faults, ordered by line, if it has any. */
export function readAccessFile(text: string): AccessFile | { readonly faults: readonly FileFault[] } {
  const parsed = parseYaml(text)
  if ('faults' in parsed) return parsed
  const { value, lineOf } = parsed
  const faults: FileFault[] = []
  const report = (path: Path, text: string) => faults.push({ line: lineOf(path), text })
  if (!isObject(value)) {
    const sections = SECTIONS.map(({ name }) => name).join(', ')
    return { faults: [{ line: 1, text: `the file must be an object with one or more of ${sections}` }] }
  }
  const known = SECTIONS.map(({ name }) => name)
  for (const key of Object.keys(value)) {
    if (!known.some((name) => name === key)) report([key], explainUnknownField(key, known).detail)
  }
  /** The keys of entries as they are written, by section and name. */
  const keys = new Map<string, string>()
  const sections = SECTIONS.map((section) => {
    const entries = new Map<string, unknown>()
    for (const [key, given] of entriesOf(value[section.name], section, report)) {
      const path = [section.name, key]
      const place = `${section.one} ${key}`
      const nameFaults = findSchemaFaults(section.nameSchema, key)
      for (const { detail } of nameFaults) report(path, `the name of the ${place} ${detail}`)
      const name = section.normalise(key)
      if (entries.has(name)) report(path, `${place}: there is another ${section.one} ${name} in this file`)
      // An entry with nothing but its name has no fields.
      const entry = given ?? {}
      const entryFaults = findSchemaFaults(section.schema, entry)
      for (const fault of entryFaults) report([...path, ...fault.path], `${place}: ${fault.detail}`)
      if (nameFaults.length + entryFaults.length > 0) continue
      entries.set(name, entry)
      keys.set(`${section.name} ${name}`, key)
      for (const fault of findEntryFaults(section.name, name, entry)) {
        report([...path, ...fault.path], `${place}: ${fault.detail}`)
      }
    }
    return [section.name, entries] as const
  })
  if (faults.length > 0) return { faults: faults.toSorted((one, other) => one.line - other.line) }
  return {
    ...(Object.fromEntries(sections) as unknown as Omit<AccessFile, 'lineOf'>),
    lineOf: ([section = '', name = '', ...rest]) =>
      lineOf([section, keys.get(`${section} ${name}`) ?? name, ...rest]),
  }
}

function entriesOf(
  given: unknown,
  { name, one }: Section,
  report: (path: Path, text: string) => void,
): [string, unknown][] {
  if (given === undefined || given === null) return []
  if (isObject(given)) return Object.entries(given)
  report([name], `${name} must be an object with the name of each ${one} as a key`)
  return []
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
