import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '')
const UNIT = readFileSync(join(ROOT, 'deploy', 'systemd', 'registry-manager.service'), 'utf8')
const missing =
  spawnSync('systemd-analyze', ['--version']).error !== undefined && 'systemd-analyze is not installed'

/** Runs systemd-analyze on a unit: its exit code and its output. */
function verify(folder: string, unit: string) {
  const file = join(folder, 'registry-manager.service')
  writeFileSync(file, unit)
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, output: stderr.trim() }
}

t.test('systemd-analyze accepts the unit without a warning', { skip: missing }, async (t) => {
  // The unit contains the path of docs/on-a-real-host.md; this checkout has another one.
  const here = UNIT.replaceAll('/opt/registry-manager', ROOT)
  t.strictSame(verify(t.testdir(), here), { status: 0, output: '' })
  const wrong = here.replace('KillMode=mixed', 'KilMode=mixed')
  t.match(verify(t.testdir(), wrong).output, 'KilMode', 'a misspelt setting is reported')
})

t.test('the unit runs an existing launcher, and docs/on-a-real-host.md names the same paths', async (t) => {
  const [, program = ''] = /^ExecStart=\S+ (\S+)$/m.exec(UNIT) ?? []
  t.ok(existsSync(join(ROOT, program)), program)
  const page = readFileSync(join(ROOT, 'docs', 'on-a-real-host.md'), 'utf8')
  const paths = ['/opt/registry-manager', '/var/lib/registry-manager', '/etc/registry-manager.env']
  for (const path of paths) {
    t.match(UNIT, path)
    t.match(page, path)
  }
})
