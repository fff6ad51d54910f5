// Plain JavaScript for the machine's own Node (20 or newer): it fetches Debian packages without installing them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const APT_MS = 300_000

/**
 * Unpacks a Debian package, and what it needs and the machine has not, into a folder of the cache. Nothing is
 * installed, no service is touched, and no rights are needed. Returns the folder; undefined where the package cannot be fetched.
 */
export function unpackPackage(name, env, say) {
  const cache = join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'registry-manager')
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  if (spawnSync('dpkg-deb', ['--version']).error || spawnSync('apt-get', ['--version']).error)
    return undefined
  say(`fetching Debian's ${name} package (unpacked into a cache folder, nothing is installed)`)
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'fetch-'))
  try {
    const fault = downloadFault(name, work)
    if (fault !== undefined) {
      say(`Debian's ${name} package cannot be fetched: ${fault}`)
      return undefined
    }
    const unpacked = join(work, 'unpacked')
    const files = readdirSync(join(work, 'archives')).filter((file) => file.endsWith('.deb'))
    const unpack = (file) =>
      spawnSync('dpkg-deb', ['-x', join(work, 'archives', file), unpacked]).status === 0
    if (files.length === 0 || !files.every(unpack)) return undefined
    try {
      renameSync(unpacked, folder)
    } catch (error) {
      // Another process was quicker.
      if (!existsSync(folder)) throw error
    }
    return folder
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Forgets an unpacked package: it turned out not to work. */
export function forgetPackage(folder) {
  rmSync(folder, { recursive: true, force: true })
}

/** What LD_LIBRARY_PATH must be for the programs of an unpacked package: empty where it brought no libraries. */
export function librariesOf(folder) {
  const places = [join(folder, 'usr', 'lib'), join(folder, 'lib')].filter(existsSync)
  const libraries = places.flatMap((place) =>
    readdirSync(place)
      .filter((name) => name.includes('-linux-gnu'))
      .map((name) => join(place, name)),
  )
  return libraries.join(':')
}

/**
 * Downloads with the machine's package lists, or else with lists of our own, which needs no rights. Returns why that
 * failed, in apt's words; undefined when it did not.
 */
function downloadFault(name, work) {
  const archives = join(work, 'archives')
  mkdirSync(join(archives, 'partial'), { recursive: true })
  const always = [
    `Dir::Cache::archives=${archives}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option])
  const fetch = (options) => {
    const install = ['install', '--yes', '--no-install-recommends', '--download-only', name]
    return aptFault([...always, ...options, ...install], work)
  }
  if (fetch([]) === undefined) return undefined
  const own = [`Dir::State::Lists=${join(work, 'lists')}`, `Dir::Cache=${join(work, 'cache')}`]
  const options = own.flatMap((option) => ['-o', option])
  mkdirSync(join(work, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(work, 'cache'), { recursive: true })
  return aptFault([...always, ...options, 'update'], work) ?? fetch(options)
}

/** Why apt-get failed: its error lines, or else its last one; undefined when it did not. */
function aptFault(args, cwd) {
  const env = { ...process.env, LC_ALL: 'C' }
  const { status, error, stderr } = spawnSync('apt-get', ['-q', ...args], {
    cwd,
    env,
    timeout: APT_MS,
    encoding: 'utf8',
  })
  if (status === 0) return undefined
  if (error) return error.code === 'ETIMEDOUT' ? `no end after ${APT_MS / 1000} s` : error.message
  const lines = stderr.trim().split('\n')
  const errors = lines.filter((line) => /^(?:E|Err)[: ]/.test(line)).slice(0, 3)
  return (errors.length > 0 ? errors.join('; ') : lines[lines.length - 1]) || `apt-get ended with ${status}`
}
