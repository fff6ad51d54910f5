import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runCommand } from './run-command.ts'

// Debian's policy hook keeps the packages from starting services of their own; one that is already there stays.
const install = `
set -e
if [ ! -e /usr/sbin/policy-rc.d ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
fi
apt-get update
apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
`

/** The path of a command: Debian's own before any other of that name on the PATH. */
export function findCommand(name: string): string | undefined {
  const folders = ['/usr/bin', '/usr/sbin', ...(process.env.PATH ?? '').split(delimiter)]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/**
 * Sees to it that commands are there, installing the Debian packages of those that are not (command → package; a
 * path instead of a command is a file of the package).
 * Answers false, or why the tests that need them must be skipped.
 */
export async function ensureCommands(packages: Record<string, string>): Promise<string | false> {
  const isThere = (name: string) =>
    name.startsWith('/') ? existsSync(name) : findCommand(name) !== undefined
  const missing = () => Object.keys(packages).filter((name) => !isThere(name))
  if (missing().length === 0) return false
  if (process.getuid?.() !== 0 || !findCommand('apt-get')) {
    return `not installed, and only root on Debian can install it: ${missing().join(', ')}`
  }
  const wanted = [...new Set(missing().map((command) => packages[command]!))]
  process.stderr.write(`installing Debian packages: ${wanted.join(' ')}\n`)
  try {
    // The lock on apt's cache folder makes test files that run side by side wait for each other.
    await runCommand('flock', ['/var/cache/apt', 'sh', '-c', install, 'install', ...wanted], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      timeoutSeconds: 800,
    })
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
  }
  return missing().length > 0 && `could not be installed: ${missing().join(', ')}`
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
