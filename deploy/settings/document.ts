import { READERS, SERVICES } from './schemas.ts'
import { replaceBetween, settingsTable } from './table.ts'

/** The page that documents the settings. */
export const SETTINGS_DOCUMENT = new URL('../../docs/settings.md', import.meta.url)

/** Replaces the document's table by the one that the schemas give now. */
export function withTable(document: string): string {
  const [begin, end] = ['<!-- made by npm run docs:settings -->', '<!-- made until here -->']
  return replaceBetween(
    document,
    begin,
    end,
    settingsTable(READERS, { name: 'services', readers: Object.keys(SERVICES) }),
  )
}
