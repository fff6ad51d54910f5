/** The command `npm run docs:settings`: writes the table of the schemas into docs/settings.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { SETTINGS_DOCUMENT, withTable } from './document.ts'

writeFileSync(SETTINGS_DOCUMENT, withTable(readFileSync(SETTINGS_DOCUMENT, 'utf8')))
