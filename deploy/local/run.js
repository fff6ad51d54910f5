// `node deploy/local/run.js COMMAND …`: prepares the workspace and runs one of its commands with Node 26.
import { join } from 'node:path'
import { readArguments, requireNode } from './command-line.js'
import { ROOT, installWorkspace, runProgram } from './workspace.js'

/** The program of a command, and the arguments that go before those of the command line. */
const PROGRAMS = {
  secrets: ['deploy/local/make-secrets.ts'],
  backup: ['deploy/local/backup.ts', 'backup'],
  restore: ['deploy/local/backup.ts', 'restore'],
  'rotate-keys': ['services/auth-service/src/rotate-keys.ts'],
  'reset-password': ['deploy/local/reset-password.ts'],
  apply: ['deploy/local/apply/main.ts'],
  import: ['deploy/local/import/main.ts'],
  storage: ['deploy/local/storage/main.ts'],
  reconcile: ['services/image-manager/src/reconcile-command.ts'],
  'docs:settings': ['deploy/settings/write.ts'],
  helm: ['deploy/helm/write.ts'],
}
/** Flags of Node, as in the services' own scripts. */
const NODE_FLAGS = { reconcile: ['--max-old-space-size=1024', '--max-semi-space-size=4'] }

requireNode()
const [name, ...args] = process.argv.slice(2)
const { operands, flags } = readArguments(name, args)
installWorkspace((line) => process.stderr.write(`· ${line}\n`))
const [file, ...first] = PROGRAMS[name]
runProgram(join(ROOT, file), [...first, ...flags, ...operands], {}, NODE_FLAGS[name])
