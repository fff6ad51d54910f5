// Plain JavaScript for the machine's own Node (20 or newer): it finds the nginx for `npm run stack`.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { forgetPackage, librariesOf, unpackPackage } from './debian-package.js'

const CHOICES = `no nginx was found. Choose one of:
  - install nginx 1.22 or newer
  - set NGINX_BINARY to the path of one`

/**
 * Finds nginx: the binary that the settings name, an installed one, or Debian's package unpacked into a cache folder.
 * Returns environment variables for the stack. Throws an Error whose message names the choices.
 */
export function findNginx(env, say) {
  if (env.NGINX_BINARY) {
    const fault = binaryFault(env.NGINX_BINARY, env.NGINX_LIBRARIES)
    if (fault) throw new Error(`NGINX_BINARY: ${env.NGINX_BINARY} ${fault}`)
    return {}
  }
  const folders = [...(env.PATH ?? '').split(delimiter).filter(Boolean), '/usr/sbin']
  const installed = folders.map((folder) => join(folder, 'nginx')).find((path) => !binaryFault(path))
  if (installed) return { NGINX_BINARY: installed }
  const folder = unpackPackage('nginx', env, say)
  if (folder) {
    const binary = join(folder, 'usr', 'sbin', 'nginx')
    const libraries = librariesOf(folder)
    if (!binaryFault(binary, libraries)) return { NGINX_BINARY: binary, NGINX_LIBRARIES: libraries }
    forgetPackage(folder)
  }
  throw new Error(CHOICES)
}

/** Returns why a file is no usable nginx; undefined if it is one. */
function binaryFault(path, libraries) {
  if (!existsSync(path)) return 'does not exist'
  const env = libraries ? { ...process.env, LD_LIBRARY_PATH: libraries } : process.env
  const { stderr, error } = spawnSync(path, ['-v'], { encoding: 'utf8', timeout: 10_000, env })
  if (error) return `cannot be run: ${error.message}`
  const [, major, minor] = /nginx\/(\d+)\.(\d+)/.exec(stderr) ?? []
  if (major === undefined) return 'is not nginx: its -v does not say so'
  return Number(major) * 1000 + Number(minor) < 1022 ? 'is older than nginx 1.22' : undefined
}
