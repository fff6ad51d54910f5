// Plain JavaScript for the machine's own Node (20 or newer): it finds the registry to put ourselves before.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

const CHOICES = `no registry was found. Choose one of:
  - put distribution's "registry" (or Debian's "docker-registry") on the PATH
  - set REGISTRY_BINARY to the path of one
  - set REGISTRY_URL to the URL of a registry that runs with deploy/registry/config.yml
  - start a Docker engine that has, or can pull, the image registry:2 or registry:3`

/** Images that serve, newest first. */
const IMAGES = ['registry:3', 'registry:2']

/**
 * Finds a registry: what the settings name, a binary on the PATH, Debian's package unpacked (not installed)
 * into a cache folder, or a Docker engine's image. Answers environment variables for the embedded mode.
 * Throws an Error whose message says what is wrong and what would be right.
 */
export function findRegistry(env, say) {
  if (env.REGISTRY_URL) return {}
  if (env.REGISTRY_BINARY) {
    const fault = binaryFault(env.REGISTRY_BINARY)
    if (fault) throw new Error(`REGISTRY_BINARY: ${env.REGISTRY_BINARY} ${fault}`)
    return {}
  }
  const binary = onPath(env) ?? unpacked(env, say)
  if (binary) return { REGISTRY_BINARY: binary }
  const image = dockerImage(say)
  if (image) return { REGISTRY_IMAGE: image }
  throw new Error(CHOICES)
}

function onPath(env) {
  const folders = (env.PATH ?? '').split(delimiter).filter(Boolean)
  const candidates = ['registry', 'docker-registry'].flatMap((name) =>
    folders.map((folder) => join(folder, name)),
  )
  return candidates.find((path) => existsSync(path) && !binaryFault(path))
}

/** Why a file is not distribution's binary; undefined when it is. */
function binaryFault(path) {
  if (!existsSync(path)) return 'does not exist'
  const { stdout, error } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  if (error) return `cannot be run: ${error.message}`
  return /distribution/.test(stdout) ? undefined : 'is not distribution: its --version does not say so'
}

function unpacked(env, say) {
  const cache = join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'registry-manager')
  const binary = join(cache, 'docker-registry', 'usr', 'bin', 'docker-registry')
  if (existsSync(binary)) return binary
  if (spawnSync('dpkg-deb', ['--version']).error || spawnSync('apt-get', ['--version']).error)
    return undefined
  say("fetching Debian's docker-registry package (unpacked into a cache folder, nothing is installed)")
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'fetch-'))
  try {
    if (!download(work)) return undefined
    const file = readdirSync(work).find((name) => name.endsWith('.deb'))
    const folder = join(work, 'unpacked')
    if (!file || spawnSync('dpkg-deb', ['-x', join(work, file), folder]).status !== 0) return undefined
    rmSync(join(cache, 'docker-registry'), { recursive: true, force: true })
    renameSync(folder, join(cache, 'docker-registry'))
    return existsSync(binary) && !binaryFault(binary) ? binary : undefined
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Downloads with the machine's package lists, or else with lists of our own, which needs no rights. */
function download(work) {
  const fetch = (options) => apt([...options, 'download', 'docker-registry'], work)
  if (fetch([])) return true
  const own = ['-o', `Dir::State::Lists=${join(work, 'lists')}`, '-o', `Dir::Cache=${join(work, 'cache')}`]
  const options = [...own, '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=root']
  mkdirSync(join(work, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(work, 'cache', 'archives', 'partial'), { recursive: true })
  return apt([...options, 'update'], work) && fetch(options)
}

function apt(args, cwd) {
  return spawnSync('apt-get', ['-q', ...args], { cwd, timeout: 100_000 }).status === 0
}

function dockerImage(say) {
  const docker = (...args) => spawnSync('docker', args, { timeout: 100_000 }).status === 0
  if (!docker('info')) return undefined
  const present = IMAGES.find((image) => docker('image', 'inspect', image))
  if (present) return present
  say('pulling a registry image')
  return IMAGES.find((image) => docker('pull', image))
}
