// Plain JavaScript for the machine's own Node (20 or newer): it finds the registry to run.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { forgetPackage, unpackPackage } from './debian-package.js'

const CHOICES = `no registry was found. Choose one of:
  - put distribution's "registry" (or Debian's "docker-registry") on the PATH
  - set REGISTRY_BINARY to the path of one
  - set REGISTRY_URL to the URL of a registry that runs with deploy/registry/config.yml
  - start a Docker engine that has, or can pull, the image registry:2 or registry:3`

/** Images of the registry that work, newest first. */
const IMAGES = ['registry:3', 'registry:2']

/**
 * Finds a registry: the one that the settings name, a binary on the PATH, Debian's package unpacked into a cache
 * folder, or an image for a Docker engine. Returns environment variables for the launcher. Throws an Error whose
 * message says what is wrong and names the choices.
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

/** Returns why a file is not distribution's binary; undefined if it is. */
function binaryFault(path) {
  if (!existsSync(path)) return 'does not exist'
  const { stdout, error } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  if (error) return `cannot be run: ${error.message}`
  return /distribution/.test(stdout) ? undefined : 'is not distribution: its --version does not say so'
}

function unpacked(env, say) {
  const folder = unpackPackage('docker-registry', env, say)
  const binary = folder && join(folder, 'usr', 'bin', 'docker-registry')
  if (binary === undefined || !binaryFault(binary)) return binary
  forgetPackage(folder)
  return undefined
}

function dockerImage(say) {
  const docker = (...args) => spawnSync('docker', args, { timeout: 100_000 }).status === 0
  if (!docker('info')) return undefined
  const present = IMAGES.find((image) => docker('image', 'inspect', image))
  if (present) return present
  say('pulling a registry image')
  return IMAGES.find((image) => docker('pull', image))
}
