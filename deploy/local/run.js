// `node deploy/local/run.js FILE.ts …`: makes the workspace ready, and runs one of its commands with Node 26.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT, findNode, giveUp, installWorkspace, workspaceEnv } from './workspace.js'

installWorkspace((line) => process.stderr.write(`· ${line}\n`))
const [file, ...args] = process.argv.slice(2)
const child = spawn(findNode(), [join(ROOT, file), ...args], { stdio: 'inherit', env: workspaceEnv() })
child.on('error', (error) => giveUp(`Node 26 cannot be started: ${error.message}`))
child.on('exit', (code) => process.exit(code ?? 1))
