/**
 * `npm run apply -- FILE [--dry-run]`: brings grants, groups, users, registry tokens and trust rules to what a file
 * says, through the management API. docs/access.md describes the file.
 */
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { applyAccess, clientOf, readText, runAsCommand } from './command.ts'

const { values, positionals } = parseArgs({
  options: { 'dry-run': { type: 'boolean', default: false }, passwords: { type: 'string' } },
  allowPositionals: true,
})
const [file = ''] = positionals

await runAsCommand(async () =>
  applyAccess(clientOf(process.env), {
    name: basename(file),
    text: readText(file),
    dryRun: values['dry-run'],
    passwords: values.passwords,
    print: (line) => process.stdout.write(`${line}\n`),
    printError: (line) => process.stderr.write(`${line}\n`),
  }),
)
