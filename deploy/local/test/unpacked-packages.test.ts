import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import t from 'tap'
import { canUnpack, unpackPackage } from '../debian-package.js'
import { prepareTestPrograms, testProgramsFolder } from '../test-programs.js'

const MODULE = fileURLToPath(new URL('../debian-package.js', import.meta.url))
const missing = !canUnpack() && 'no apt-get that downloads Debian packages'
const isRoot = process.getuid?.() === 0
const say = () => {}
/** A small package that no other package needs. */
const PACKAGE = 'hello'

/** An environment with an empty cache that only this test uses. */
const ownCache = (t: Test) => ({ ...process.env, XDG_CACHE_HOME: t.testdir() })

/** An environment with an empty cache, and the number of downloads by apt-get since. */
function countedCache(t: Test) {
  const folder = t.testdir({ bin: {}, cache: {}, calls: '' })
  const calls = join(folder, 'calls')
  const script = '#!/bin/sh\necho "$@" >>"$CALLS"\nPATH=${PATH#*:} exec apt-get "$@"\n'
  writeFileSync(join(folder, 'bin', 'apt-get'), script, { mode: 0o755 })
  const PATH = `${join(folder, 'bin')}:${process.env['PATH']}`
  const env = { ...process.env, PATH, CALLS: calls, XDG_CACHE_HOME: join(folder, 'cache') }
  const downloads = () =>
    readFileSync(calls, 'utf8')
      .split('\n')
      .filter((call) => call.includes('install')).length
  return { env, downloads }
}

const installed = () => execFileSync('dpkg', ['-l'], { encoding: 'utf8' })

t.test('a package is unpacked and runs without being installed', { skip: missing }, async (t) => {
  const before = installed()
  const folder = unpackPackage(PACKAGE, ownCache(t), say) ?? ''
  t.match(execFileSync(join(folder, 'usr/bin/hello'), { encoding: 'utf8' }), 'Hello, world!')
  t.equal(installed(), before)
})

t.test(
  'processes that need the same package at the same time download it once',
  { skip: missing },
  async (t) => {
    const { env, downloads } = countedCache(t)
    const script = `import { unpackPackage } from ${JSON.stringify(MODULE)}
    console.log(unpackPackage('${PACKAGE}', process.env, () => {}))`
    const run = () =>
      promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { env })
    const results = await Promise.all([run(), run(), run()])
    // If the machine has no package lists, `download` fetches lists and tries again.
    t.ok([1, 2].includes(downloads()), `${downloads()} downloads`)
    const cache = join(env.XDG_CACHE_HOME, 'registry-manager')
    for (const { stdout } of results) t.equal(stdout.trim(), join(cache, PACKAGE))
    t.same(
      readdirSync(cache).filter((name) => name.startsWith('fetch-')),
      [],
      'no unfinished download remains',
    )
  },
)

t.test('an unfinished earlier download is not used as a package', { skip: missing }, async (t) => {
  const env = ownCache(t)
  const unfinished = join(env.XDG_CACHE_HOME, 'registry-manager', 'fetch-killed', 'unpacked', 'usr', 'bin')
  mkdirSync(unfinished, { recursive: true })
  writeFileSync(join(unfinished, 'hello'), 'half a program')
  const folder = unpackPackage(PACKAGE, env, say) ?? ''
  t.match(execFileSync(join(folder, 'usr/bin/hello'), { encoding: 'utf8' }), 'Hello, world!')
})

t.test(
  'test programs find their files under /usr and /etc, and the machine is not changed',
  { skip: missing || (!isRoot && 'only root can mount') },
  async (t) => {
    const [env, packages] = [ownCache(t), [PACKAGE, 'dash', 'adduser']]
    const fault = prepareTestPrograms(env, say, packages)
    if (fault.includes('mount')) return t.pass('mounts', { skip: fault })
    t.equal(fault, '')
    const bin = testProgramsFolder(env, packages)
    const run = (script: string, cwd = '/') =>
      execFileSync(join(bin, 'dash'), ['-c', script], { cwd, encoding: 'utf8' }).trim()
    t.match(execFileSync(join(bin, PACKAGE), { encoding: 'utf8' }), 'Hello, world!')
    t.equal(run('command -v hello'), '/usr/bin/hello')
    t.equal(run('pwd', env.XDG_CACHE_HOME), env.XDG_CACHE_HOME)
    t.equal(
      run('test -s /etc/adduser.conf && cat /etc/hosts'),
      execFileSync('cat', ['/etc/hosts'], { encoding: 'utf8' }).trim(),
    )
    t.equal(run('touch /usr/made-by-a-test /etc/made-by-a-test && echo made'), 'made')
    t.notOk(existsSync('/usr/made-by-a-test') || existsSync('/etc/made-by-a-test'))
    t.equal(spawnSync(join(bin, 'dash'), ['-c', 'exit 7']).status, 7)

    const cache = join(env.XDG_CACHE_HOME, 'registry-manager')
    const [old, recent] = [join(cache, 'test-programs-old'), join(cache, 'test-programs-recent')]
    for (const folder of [old, recent]) mkdirSync(folder)
    utimesSync(old, 0, 0)
    t.equal(prepareTestPrograms(env, say, packages), '')
    t.same(
      [old, recent, bin].map(existsSync),
      [false, true, true],
      'only folders that were unused for a long time are removed',
    )
  },
)

t.test(
  'a failed download leaves no folder, and the next test file does not retry it at once',
  { skip: missing || !isRoot },
  async (t) => {
    const { env, downloads } = countedCache(t)
    const packages = ['no-such-package-of-debian']
    const first = prepareTestPrograms(env, say, packages)
    t.match(first, /cannot be fetched: .*no-such-package-of-debian/)
    const before = downloads()
    t.ok(before > 2, 'the download was retried')
    t.equal(prepareTestPrograms(env, say, packages), first)
    t.equal(downloads(), before)
    t.notOk(existsSync(testProgramsFolder(env, packages)), 'there is no folder of unpacked programs')
  },
)
