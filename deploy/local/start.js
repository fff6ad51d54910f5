// `npm start`: prepares everything and runs registry-manager in one process, with the registry as a child process.
import { join } from 'node:path'
import { readArguments, requireNode } from './command-line.js'
import { findRegistry } from './registry-binary.js'
import { ROOT, giveUp, installWorkspace, runProgram } from './workspace.js'

const say = (line) => process.stdout.write(`· ${line}\n`)

requireNode()
readArguments('start', process.argv.slice(2))
installWorkspace(say)
let registry
try {
  registry = findRegistry(process.env, say)
} catch (error) {
  giveUp(error.message)
}
runProgram(join(ROOT, 'deploy', 'local', 'embedded.ts'), [], registry)
