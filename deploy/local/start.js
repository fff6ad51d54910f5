// `npm start`: makes everything ready and runs registry-manager in one process, the registry beside it.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { findRegistry } from './registry-binary.js'
import { ROOT, findNode, giveUp, installWorkspace, workspaceEnv } from './workspace.js'

const say = (line) => process.stdout.write(`· ${line}\n`)

installWorkspace(say)
let registry
try {
  registry = findRegistry(process.env, say)
} catch (error) {
  giveUp(error.message)
}
const child = spawn(findNode(), [join(ROOT, 'deploy', 'local', 'embedded.ts')], {
  stdio: 'inherit',
  env: { ...workspaceEnv(), ...registry },
})
// A terminal signals the whole group; whoever signals this process alone means the product.
process.on('SIGINT', () => {})
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => giveUp(`Node 26 cannot be started: ${error.message}`))
child.on('exit', (code, signal) =>
  process.exit(code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)),
)
