/** A schema of settings: a TypeBox object, which is a JSON Schema. */
export interface SettingsSchema {
  readonly properties: Readonly<Record<string, object>>
  readonly required?: readonly string[]
}

interface Setting {
  readonly reader: string
  readonly required: boolean
  readonly default?: string | number | boolean
  readonly description?: string
}

/**
 * The table of all settings, in Markdown: a line for each variable, in the order in which the schemas name them. If
 * several readers describe a variable, the first description is used. A variable without one is omitted. If all readers
 * of `group` have the variable, the group's name replaces theirs.
 */
export function settingsTable(
  readers: Readonly<Record<string, SettingsSchema>>,
  group: { readonly name: string; readonly readers: readonly string[] } = { name: '', readers: [] },
): string {
  const namesOf = (settings: readonly Setting[]) => {
    const names = new Set(settings.map(({ reader }) => reader))
    const all = group.readers.length > 0 && group.readers.every((reader) => names.has(reader))
    const own = [...names].filter((name) => !all || !group.readers.includes(name))
    return [...(all ? [group.name] : []), ...own].join(', ')
  }
  const lines: string[] = []
  for (const [name, settings] of settingsByName(readers)) {
    const description = settings.find((setting) => setting.description !== undefined)?.description
    if (description === undefined) continue
    const defaults = defaultsOf(settings, namesOf)
    lines.push(`| \`${name}\` | ${defaults} | ${namesOf(settings)} | ${escape(description)} |`)
  }
  return ['| name | default | used by | description |', '|---|---|---|---|', ...lines].join('\n')
}

/** Replaces the text between two markers of a document. Throws if the document lacks them. */
export function replaceBetween(document: string, begin: string, end: string, text: string): string {
  const [from, to] = [document.indexOf(begin), document.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the document has no ${begin} … ${end}`)
  return `${document.slice(0, from + begin.length)}\n${text}\n${document.slice(to)}`
}

function settingsByName(readers: Readonly<Record<string, SettingsSchema>>): Map<string, Setting[]> {
  const settings = new Map<string, Setting[]>()
  for (const [reader, schema] of Object.entries(readers)) {
    for (const [name, property] of Object.entries(schema.properties)) {
      const { default: value, description } = property as Omit<Setting, 'reader' | 'required'>
      const required = value === undefined && (schema.required ?? []).includes(name)
      settings.set(name, [...(settings.get(name) ?? []), { reader, required, default: value, description }])
    }
  }
  return settings
}

/** The default, such as `8001`; if the readers' defaults differ, `8001` (auth-service); `8002` (image-manager). */
function defaultsOf(settings: readonly Setting[], namesOf: (settings: readonly Setting[]) => string): string {
  const readersOf = Map.groupBy(settings, ({ required, default: value }) => {
    if (required) return 'required'
    return value === undefined || value === '' ? '–' : `\`${value}\``
  })
  if (readersOf.size === 1) return [...readersOf.keys()].join('')
  return [...readersOf].map(([value, own]) => `${value} (${namesOf(own)})`).join('; ')
}

function escape(text: string): string {
  return text.replaceAll('|', String.raw`\|`)
}
