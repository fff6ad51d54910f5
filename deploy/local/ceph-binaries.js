// Plain JavaScript for the machine's own Node (20 or newer): it finds Ceph, whose radosgw is the S3 server of the tests.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, canUnpack, fetchPackages, forgetPackage, librariesOf } from './debian-package.js'

/** radosgw stores objects in an osd (object storage daemon), which needs a mon (monitor). */
const PACKAGES = ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-base', 'ceph-common']
const COMMANDS = ['radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'monmaptool']

/**
 * Unpacks Ceph from Debian's packages into a folder of the cache, once. Returns the folder of its commands, their
 * LD_LIBRARY_PATH and the folder of Ceph's plugins; or why Ceph cannot be used, as `fault`.
 */
export function findCeph(env, say) {
  const folder = join(cacheFolder(env), 'ceph')
  if (!existsSync(folder)) {
    if (!canUnpack()) return { fault: 'this machine has no apt-get to download Debian packages with' }
    say("fetching Debian's packages of Ceph (unpacked into a cache folder, nothing is installed)")
    const fault = fetchPackages(folder, PACKAGES, env)
    if (!existsSync(folder)) return { fault: `Debian's packages of Ceph cannot be fetched: ${fault}` }
  }
  const commands = join(folder, 'usr', 'bin')
  const places = librariesOf(folder).split(':')
  const plugins = places.map((place) => join(place, 'ceph')).find(existsSync) ?? ''
  const libraries = [...places, plugins].join(':')
  for (const name of COMMANDS) {
    const options = { encoding: 'utf8', timeout: 30_000, env: { ...env, LD_LIBRARY_PATH: libraries } }
    const { status, error, stderr } = spawnSync(join(commands, name), ['--help'], options)
    if (status !== 0) {
      forgetPackage(folder)
      return { fault: `${name} of Debian's packages cannot be run: ${error?.message ?? stderr.trim()}` }
    }
  }
  return { commands, libraries, plugins }
}
