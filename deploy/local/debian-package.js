// Plain JavaScript for the machine's own Node (20 or newer): it unpacks Debian packages without installing them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FETCH = fileURLToPath(new URL('fetch-packages.js', import.meta.url))
/** Deadline of a download: 200 MB on a slow line, or a wait for another process that holds the lock. */
const FETCH_MS = 1_500_000

/**
 * The cache folder of downloads. Source: the XDG Base Directory Specification. Root's is outside of its home folder,
 * which is closed to the user that Postgres runs as: initdb refuses a program that access(2) denies.
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
 * Unpacks a Debian package, with those dependencies that are not installed, into a folder of the cache. Installs
 * nothing, touches no service and needs no privileges. Returns the folder; undefined if that is impossible.
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
 * Downloads packages and unpacks them into a folder, which appears only when it is complete. Processes that need the
 * same folder wait for each other. `isComplete` includes dependencies that are installed on this machine. Returns an
 * empty string, or the output of the download that failed.
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

/** The LD_LIBRARY_PATH for the programs of an unpacked package; empty if the package has no libraries. */
export function librariesOf(folder) {
  const places = [join(folder, 'usr', 'lib'), join(folder, 'lib')].filter(existsSync)
  const libraries = places.flatMap((place) =>
    readdirSync(place)
      .filter((name) => name.includes('-linux-gnu'))
      .map((name) => join(place, name)),
  )
  return libraries.join(':')
}
