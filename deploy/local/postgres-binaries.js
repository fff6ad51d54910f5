// Plain JavaScript for the machine's own Node (20 or newer): it finds the Postgres for `npm run stack`.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { forgetPackage, librariesOf, unpackPackage } from './debian-package.js'

const CHOICES = `no PostgreSQL was found. Choose one of:
  - install PostgreSQL 14 or newer
  - set POSTGRES_BINARIES to the folder that holds its initdb and postgres
  - set DATABASE_URL to the URL of a database that is running`

/**
 * Finds Postgres: the folder that the settings name, an installed one, or Debian's package unpacked into a cache
 * folder. Returns environment variables for the stack, none if DATABASE_URL names a database. Throws an Error whose
 * message names the choices.
 */
export function findPostgres(env, say) {
  if (env.DATABASE_URL || env.DATABASE_URL_FILE) return {}
  if (env.POSTGRES_BINARIES) {
    const fault = folderFault(env.POSTGRES_BINARIES)
    if (fault) throw new Error(`POSTGRES_BINARIES: ${env.POSTGRES_BINARIES} ${fault}`)
    return {}
  }
  const onPath = (env.PATH ?? '').split(delimiter).filter(Boolean)
  const installed = [...versionsBelow('/usr/lib/postgresql'), ...onPath].find(
    (folder) => !folderFault(folder),
  )
  if (installed) return { POSTGRES_BINARIES: installed }
  const folder = unpackPackage('postgresql', env, say)
  if (folder) {
    const libraries = librariesOf(folder)
    const unpacked = versionsBelow(join(folder, 'usr', 'lib', 'postgresql'))
    const binaries = unpacked.find((one) => !folderFault(one, libraries))
    if (binaries) return { POSTGRES_BINARIES: binaries, POSTGRES_LIBRARIES: libraries }
    forgetPackage(folder)
  }
  throw new Error(CHOICES)
}

/** Returns the command folders of all versions below a folder of Debian's packages, the newest version first. */
function versionsBelow(folder) {
  const versions = existsSync(folder) ? readdirSync(folder) : []
  const newestFirst = versions.toSorted((one, other) => Number(other) - Number(one))
  return newestFirst.map((version) => join(folder, version, 'bin'))
}

/** Returns why a folder holds no usable Postgres; undefined if it holds one. */
function folderFault(folder, libraries) {
  const env = libraries ? { ...process.env, LD_LIBRARY_PATH: libraries } : process.env
  for (const command of ['initdb', 'postgres']) {
    const path = join(folder, command)
    if (!existsSync(path)) return `holds no ${command}`
    const { stdout, error } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000, env })
    if (error) return `holds a ${command} that cannot be run: ${error.message}`
    const [, major] = /PostgreSQL\) (\d+)/.exec(stdout) ?? []
    if (major === undefined || Number(major) < 14) return `holds no ${command} of PostgreSQL 14 or newer`
  }
  return undefined
}
