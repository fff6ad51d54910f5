// Plain JavaScript for the machine's own Node (20 or newer): it unpacks Debian packages without installing them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FETCH = fileURLToPath(new URL('fetch-packages.js', import.meta.url))
/** For a download of 200 MB on a slow line, and for another process that holds the lock at that time. */
const FETCH_MS = 1_500_000

/**
 * The folder that keeps what was downloaded. Source: the XDG Base Directory Specification. Root has it outside of its
 * home, which is closed to the user that Postgres runs as: initdb refuses a program that access(2) denies.
 */
export function cacheFolder(env) {
  const cache = process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache')
  return join(env.XDG_CACHE_HOME || cache, 'registry-manager')
}

/** Whether this machine has the tools that download and unpack Debian packages. */
export function canUnpack() {
  return ['apt-get', 'dpkg-deb', 'flock'].every((tool) => !spawnSync(tool, ['--version']).error)
}

/**
 * Unpacks a Debian package and those of its dependencies that are not installed into a folder of the cache. It
 * installs nothing, touches no service and needs no rights. Returns the folder; undefined when that is impossible.
 */
export function unpackPackage(name, env, say) {
  const folder = join(cacheFolder(env), name)
  if (existsSync(folder)) return folder
  if (!canUnpack()) return undefined
  say(`fetching Debian's ${name} package (unpacked into a cache folder, nothing is installed)`)
  const fault = fetchPackages(folder, [name], env)
  if (existsSync(folder)) return folder
  say(`Debian's ${name} package cannot be fetched: ${fault}`)
  return undefined
}

/**
 * Downloads packages and unpacks them into a folder, which appears only once it is complete. Processes that want
 * the same folder wait for each other. `isComplete` includes the dependencies that the machine has installed.
 * Returns what the download printed when it failed, and an empty string otherwise.
 */
export function fetchPackages(folder, names, env, { isComplete = false } = {}) {
  const cache = cacheFolder(env)
  mkdirSync(cache, { recursive: true })
  const fetch = [process.execPath, FETCH, ...(isComplete ? ['--complete'] : []), folder, ...names]
  const { status, error, stderr } = spawnSync('flock', [join(cache, 'lock'), ...fetch], {
    env,
    encoding: 'utf8',
    timeout: FETCH_MS,
  })
  return status === 0 ? '' : (error?.message ?? stderr.trim())
}

/** Removes an unpacked package that does not work, so that the next start fetches it again. */
export function forgetPackage(folder) {
  rmSync(folder, { recursive: true, force: true })
}

/** The LD_LIBRARY_PATH for the programs of an unpacked package: empty when it brought no libraries. */
export function librariesOf(folder) {
  const places = [join(folder, 'usr', 'lib'), join(folder, 'lib')].filter(existsSync)
  const libraries = places.flatMap((place) =>
    readdirSync(place)
      .filter((name) => name.includes('-linux-gnu'))
      .map((name) => join(place, name)),
  )
  return libraries.join(':')
}
