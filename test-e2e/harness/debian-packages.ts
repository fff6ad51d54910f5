import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findCommand as findInstalled } from '../../deploy/local/find-command.js'
import { TEST_PACKAGES, prepareTestPrograms, testProgramsFolder } from '../../deploy/local/test-programs.js'

/** Commands that are installed incompletely. The unpacked versions are used instead. */
const incomplete = new Set<string>()

/** Returns the path of a command, installed or from an unpacked Debian package. */
export function findCommand(name: string): string | undefined {
  const unpacked = join(testProgramsFolder(process.env), name)
  const installed = incomplete.has(name) ? undefined : findInstalled(name)
  return installed ?? (existsSync(unpacked) ? unpacked : undefined)
}

/**
 * Makes commands available (command → its Debian package; a path instead of a command is a file of the package that the
 * commands need). Commands that are not installed are unpacked into the cache folder. `findCommand` and PATH find them
 * there; nothing is installed. Returns false, or the reason why tests must be skipped.
 */
export async function ensureCommands(packages: Record<string, string>): Promise<string | false> {
  const names = Object.keys(packages)
  const missing = names.filter((name) =>
    name.startsWith('/') ? !existsSync(name) : findInstalled(name) === undefined,
  )
  if (missing.length === 0) return false
  const unknown = missing.filter((name) => !TEST_PACKAGES.includes(packages[name]!))
  if (unknown.length > 0)
    throw new Error(`TEST_PACKAGES in test-programs.js lacks the packages of ${unknown.join(', ')}`)
  const fault = prepareTestPrograms(process.env, (line: string) => process.stderr.write(`${line}\n`))
  if (fault !== '') return `not installed: ${missing.join(', ')}; ${fault}`
  const folder = testProgramsFolder(process.env)
  const isInPart = missing.some((name) => name.startsWith('/'))
  for (const name of isInPart ? names : missing) incomplete.add(name)
  // Scripts of the tests and the programs themselves find the other commands there.
  if (!process.env['PATH']?.includes(folder)) process.env['PATH'] += `${delimiter}${folder}`
  return false
}
