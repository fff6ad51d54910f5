// `npm run stack`: prepares everything and runs registry-manager as in production, one process per replica.
import { join } from 'node:path'
import { readArguments, requireNode } from './command-line.js'
import { findNginx } from './nginx-binary.js'
import { findPostgres } from './postgres-binaries.js'
import { findRegistry } from './registry-binary.js'
import { ROOT, giveUp, installWorkspace, runProgram } from './workspace.js'

const say = (line) => process.stdout.write(`· ${line}\n`)

requireNode()
readArguments('stack', process.argv.slice(2))
installWorkspace(say)
let programs
try {
  const { env } = process
  programs = { ...findNginx(env, say), ...findPostgres(env, say), ...findRegistry(env, say) }
} catch (error) {
  giveUp(error.message)
}
runProgram(join(ROOT, 'deploy', 'local', 'stack', 'main.ts'), [], programs)
