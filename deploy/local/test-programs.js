// Plain JavaScript for the machine's own Node (20 or newer): the clients and servers that tests run, unpacked from
// Debian's packages. Nothing is installed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, canUnpack, fetchPackages } from './debian-package.js'

/** All packages of the tests, for one download with their dependencies. */
export const TEST_PACKAGES = [
  'curl',
  'debootstrap',
  'docker-compose',
  'docker.io',
  'jq',
  'ldap-utils',
  'openssl',
  'podman',
  'python3',
  'python3-samba',
  'samba',
  'samba-ad-provision',
  'samba-dsdb-modules',
  'samba-vfs-modules',
  'skopeo',
  'slapd',
  'util-linux',
  'winbind',
]

/** The browser of the tests: a download of its own, because not every distribution has this package. */
export const BROWSER_PACKAGES = ['chromium']

/** A machine with these commands needs no download. */
export const TEST_COMMANDS = [
  'curl',
  'debootstrap',
  'docker',
  'docker-compose',
  'dockerd',
  'jq',
  'ldapmodify',
  'openssl',
  'podman',
  'python3',
  'samba',
  'skopeo',
  'slapd',
  'winbindd',
]

const HOUR_MS = 3_600_000
const KEPT_MS = 14 * 24 * HOUR_MS
/** Test files do not retry a failed download within this time. */
const FAILURE_MS = HOUR_MS / 6

/** The script behind every link `bin/NAME`. It runs the program NAME of the unpacked packages. */
const ENTER = `#!/bin/sh
here=\${0%/*}/..
exec unshare --mount /bin/sh "$here/inside" "$here" "\${0##*/}" "$@"
`

/*
 * The programs have paths compiled in (/usr/lib/ldap, /usr/share/samba, /etc/containers). Each program runs in its own
 * mount namespace, so other processes see no change. Overlays add the packages' files to /usr (taking precedence) and
 * to /etc (the machine's files take precedence). Files that the program writes there are in memory and end with the
 * program. In a container, three files of /etc are separate mounts that the overlay would hide, so they are copied. An
 * installation links iptables, which dockerd runs, to a variant.
 */
const INSIDE = `set -e
here=$1
program=$2
shift 2
before=$(pwd -P)
cd "$here"
mount -t tmpfs tmpfs changes
(
  umask 022
  mkdir -p changes/usr/sbin changes/usr.work changes/etc changes/etc.work
  ln -s iptables-nft changes/usr/sbin/iptables
  ln -s ip6tables-nft changes/usr/sbin/ip6tables
)
for file in hosts hostname resolv.conf; do
  [ ! -e "/etc/$file" ] || cp -L "/etc/$file" changes/etc/
done
overlay() { mount -t overlay overlay -o "lowerdir=$1,upperdir=changes/$2,workdir=changes/$2.work" "/$2"; }
overlay root/usr:/usr usr
overlay /etc:root/etc etc
cd "$before"
PATH=/usr/sbin:/usr/bin:$PATH
export PATH
exec "$program" "$@"
`

/** The folder of the unpacked commands. It exists once they are complete. */
export function testProgramsFolder(env, packages = TEST_PACKAGES) {
  return join(home(env, packages), 'bin')
}

/**
 * Downloads and unpacks the packages of the tests once. Returns an empty string, or why the programs cannot run.
 */
export function prepareTestPrograms(env, say, packages = TEST_PACKAGES) {
  if (process.getuid?.() !== 0) return 'only root can run programs of Debian packages without installing them'
  if (!canUnpack()) return 'this machine has no apt-get to download Debian packages with'
  const folder = home(env, packages)
  const failed = join(folder, 'failed')
  mkdirSync(folder, { recursive: true })
  if (!existsSync(join(folder, 'root'))) {
    if (existsSync(failed) && Date.now() - statSync(failed).mtimeMs < FAILURE_MS)
      return readFileSync(failed, 'utf8')
    say('fetching the Debian packages of the tests (unpacked into a cache folder, nothing is installed)')
    const fault = fetchPackages(join(folder, 'root'), packages, env, { isComplete: true })
    if (fault !== '') {
      writeFileSync(failed, `the Debian packages of the tests cannot be fetched: ${fault}`)
      return readFileSync(failed, 'utf8')
    }
  }
  writeCommands(folder)
  removeUnused(env, folder)
  const { status, stderr } = spawnSync(join(folder, 'bin', 'true'), { encoding: 'utf8' })
  return status === 0 ? '' : `programs of unpacked packages cannot be run: ${stderr.trim()}`
}

/** Lets a new run of the tests retry a failed download. */
export function retryTestPrograms(env) {
  for (const packages of [TEST_PACKAGES, BROWSER_PACKAGES]) {
    rmSync(join(home(env, packages), 'failed'), { force: true })
  }
}

/** The folder for one list of packages, release of Debian, and version of the scripts. */
function home(env, packages) {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  const [, version = ''] = /^VERSION_ID=(.*)$/m.exec(release) ?? []
  const parts = JSON.stringify([packages, version, process.arch, ENTER, INSIDE])
  const key = createHash('sha256').update(parts).digest('hex').slice(0, 12)
  return join(cacheFolder(env), `test-programs-${key}`)
}

/** Writes the scripts and a link for each program. Concurrent processes write the same files. */
function writeCommands(folder) {
  if (existsSync(join(folder, 'bin'))) return
  const work = mkdtempSync(join(folder, 'scripts-'))
  mkdirSync(join(folder, 'changes'), { recursive: true })
  writeFileSync(join(work, 'inside'), INSIDE)
  writeFileSync(join(work, 'enter'), ENTER, { mode: 0o755 })
  for (const name of ['inside', 'enter']) renameSync(join(work, name), join(folder, name))
  const bin = join(work, 'bin')
  mkdirSync(bin)
  const programs = ['bin', 'sbin'].flatMap((name) => readdirSync(join(folder, 'root', 'usr', name)))
  // `true` shows whether programs can be run at all.
  for (const name of new Set(['true', ...programs])) symlinkSync('../enter', join(bin, name))
  try {
    renameSync(bin, join(folder, 'bin'))
  } catch (error) {
    // Another process has created it.
    if (!existsSync(join(folder, 'bin'))) throw error
  }
  rmSync(work, { recursive: true, force: true })
}

/** Removes folders of earlier versions of the tests that were not used for two weeks. */
function removeUnused(env, used) {
  const now = new Date()
  utimesSync(used, now, now)
  for (const name of readdirSync(cacheFolder(env))) {
    const folder = join(cacheFolder(env), name)
    // Another process may have removed it.
    const changed = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Infinity
    if (/^(test-programs|fetch)-/.test(name) && now.getTime() - changed > KEPT_MS)
      rmSync(folder, { recursive: true, force: true })
  }
}
