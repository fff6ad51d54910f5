import { READERS, SERVICES } from './schemas.ts'
import { replaceBetween, settingsTable } from './table.ts'

/** Where the settings are documented. */
export const SETTINGS_DOCUMENT = new URL('../../docs/settings.md', import.meta.url)

/** That document with the table that the schemas make now. */
export function withTable(document: string): string {
  const [begin, end] = ['<!-- made by npm run docs:settings -->', '<!-- made until here -->']
  return replaceBetween(
    document,
    begin,
    end,
    settingsTable(READERS, { name: 'services', readers: Object.keys(SERVICES) }),
  )
}
