// `npm run bench`: prepares everything, then measures. `npm run bench -- proxy-memory` runs one measurement.
import { join } from 'node:path'
import { readArguments, requireNode } from './command-line.js'
import { librariesOf, unpackPackage } from './debian-package.js'
import { findCommand } from './find-command.js'
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
  programs = {
    ...findRegistry(env, say),
    ...findNginx(env, say),
    ...findClient('wrk'),
    ...findClient('skopeo'),
  }
} catch (error) {
  giveUp(error.message)
}
runProgram(join(ROOT, 'bench', 'main.ts'), process.argv.slice(2), { ...env, ...programs })

/**
 * Finds a client program: the one that the settings name, an installed one, or Debian's package unpacked into a cache
 * folder. Returns environment variables for the measurements, which fail if they need a missing client.
 */
function findClient(name) {
  const variable = name.toUpperCase()
  if (env[`${variable}_BINARY`]) return {}
  const installed = findCommand(name)
  if (installed) return { [`${variable}_BINARY`]: installed }
  const folder = unpackPackage(name, env, say)
  if (!folder) return {}
  return {
    [`${variable}_BINARY`]: join(folder, 'usr', 'bin', name),
    [`${variable}_LIBRARIES`]: librariesOf(folder),
  }
}
