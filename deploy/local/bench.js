// `npm run bench`: prepares everything, then measures. `npm run bench -- proxy-memory` runs one measurement.
import { join } from 'node:path'
import { readArguments, requireNode } from './command-line.js'
import { findNginx } from './nginx-binary.js'
import { findRegistry } from './registry-binary.js'
import { ROOT, giveUp, installWorkspace, runProgram } from './workspace.js'

const say = (line) => process.stdout.write(`· ${line}\n`)

requireNode()
readArguments('bench', process.argv.slice(2))
installWorkspace(say)
// A registry elsewhere has its own storage and keys. The measurements need one on this machine.
const env = { ...process.env, REGISTRY_URL: undefined }
let programs
try {
  programs = { ...findRegistry(env, say), ...findNginx(env, say) }
} catch (error) {
  giveUp(error.message)
}
runProgram(join(ROOT, 'bench', 'main.ts'), process.argv.slice(2), { ...env, ...programs })
