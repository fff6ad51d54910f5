/** The command that brings the table in docs/settings.md to what the schemas say. */
import { readFileSync, writeFileSync } from 'node:fs'
import { SETTINGS_DOCUMENT, withTable } from './document.ts'

writeFileSync(SETTINGS_DOCUMENT, withTable(readFileSync(SETTINGS_DOCUMENT, 'utf8')))
