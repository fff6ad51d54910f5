// `node fetch-packages.js [--complete] FOLDER PACKAGE...`: downloads Debian packages and their dependencies and
// unpacks them into FOLDER. `--complete` includes dependencies that are installed. Callers hold the cache's lock.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cacheFolder } from './debian-package.js'

const PAUSES_MS = [0, 3000, 10_000]
const APT_MS = 300_000
/** Folders that are links on an installed system with a merged /usr. Packages still ship files under these names. */
const MERGED = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']
/** Documentation, which no program needs. */
const LEFT_OUT = ['doc', 'man', 'info', 'locale', 'lintian'].map((name) => `--exclude=./usr/share/${name}/*`)

const args = process.argv.slice(2)
const isComplete = args[0] === '--complete'
const [folder, ...names] = isComplete ? args.slice(1) : args
const cache = cacheFolder(process.env)

let fault = ''
for (const pause of PAUSES_MS) {
  if (existsSync(folder)) process.exit(0)
  await sleep(pause)
  fault = fetchOnce()
}
if (!existsSync(folder)) {
  process.stderr.write(`${names.join(' ')}: ${fault}\n`)
  process.exit(1)
}

/** Returns an empty string when the folder exists, or the reason of the failure. */
function fetchOnce() {
  const work = mkdtempSync(join(cache, 'fetch-'))
  try {
    const fault = download(work)
    if (fault !== '') return fault
    const unpacked = join(work, 'unpacked')
    for (const name of MERGED) {
      mkdirSync(join(unpacked, 'usr', name), { recursive: true })
      symlinkSync(join('usr', name), join(unpacked, name))
    }
    const archives = readdirSync(join(work, 'archives')).filter((file) => file.endsWith('.deb'))
    if (archives.length === 0) return 'apt-get downloaded nothing: the packages are installed already'
    for (const archive of archives) {
      const fault = unpack(join(work, 'archives', archive), unpacked)
      if (fault !== '') return `${archive} cannot be unpacked: ${fault}`
    }
    renameSync(unpacked, folder)
    return ''
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function unpack(archive, into) {
  // Owners and set-user-ID bits are left out: the owner of the cache folder runs these programs.
  const tar = `tar --extract --keep-directory-symlink --no-same-owner --no-same-permissions ${LEFT_OUT.join(' ')}`
  const script = `umask 022; dpkg-deb --fsys-tarfile "$1" | ${tar} --directory="$2"`
  return run('sh', ['-c', script, 'unpack', archive, into])
}

/** Downloads with the machine's package lists, or with lists in the cache folder, which needs no privileges. */
function download(work) {
  const archives = join(work, 'archives')
  mkdirSync(join(archives, 'partial'), { recursive: true })
  const [lists, own] = [join(cache, 'apt', 'lists'), join(cache, 'apt', 'cache')]
  for (const path of [join(lists, 'partial'), own]) mkdirSync(path, { recursive: true })
  const options = [
    `Dir::Cache=${own}`,
    `Dir::Cache::archives=${archives}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=root',
    'Acquire::Retries=3',
    ...(isComplete ? ['Dir::State::status=/dev/null'] : []),
  ]
  const install = ['install', '--yes', '--no-install-recommends', '--download-only', ...names]
  if (apt(options, install) === '') return ''
  const withOwnLists = [...options, `Dir::State::Lists=${lists}`]
  return apt(withOwnLists, ['update']) || apt(withOwnLists, install)
}

function apt(options, command) {
  return run('apt-get', ['-q', ...options.flatMap((option) => ['-o', option]), ...command])
}

/** Runs a command. Returns an empty string, or the last lines of its output if it failed. */
function run(command, args) {
  const options = { cwd: cache, encoding: 'utf8', timeout: APT_MS, maxBuffer: 2 ** 26 }
  const { status, error, stderr } = spawnSync(command, args, options)
  if (status === 0) return ''
  return error?.message ?? (stderr.trim().split('\n').slice(-3).join(' ') || `${command} failed`)
}
