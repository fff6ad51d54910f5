// `npm run bench`: makes everything ready, then measures. `npm run bench -- proxy-memory` measures that alone.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { findRegistry } from './registry-binary.js'
import { ROOT, findNode, giveUp, installWorkspace, workspaceEnv } from './workspace.js'

const say = (line) => process.stdout.write(`· ${line}\n`)

installWorkspace(say)
// A registry that runs somewhere has its own storage and keys: what is measured is one beside us.
const { REGISTRY_URL: _elsewhere, ...env } = workspaceEnv()
let registry
try {
  registry = findRegistry(env, say)
} catch (error) {
  giveUp(error.message)
}
const child = spawn(findNode(), [join(ROOT, 'bench', 'main.ts'), ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...env, ...registry },
})
// A terminal signals the whole group; whoever signals this process alone means the bench.
process.on('SIGINT', () => {})
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => giveUp(`Node 26 cannot be started: ${error.message}`))
child.on('exit', (code) => process.exit(code ?? 1))
