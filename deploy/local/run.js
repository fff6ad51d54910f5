// `node deploy/local/run.js FILE.ts …`: makes the workspace ready, and runs one of its commands with Node 26.
import { join } from 'node:path'
import { ROOT, installWorkspace, runProgram } from './workspace.js'

installWorkspace((line) => process.stderr.write(`· ${line}\n`))
const [file, ...args] = process.argv.slice(2)
runProgram(join(ROOT, file), args, {})
