import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '')
const UNIT = readFileSync(join(ROOT, 'deploy', 'systemd', 'registry-manager.service'), 'utf8')
const missing =
  spawnSync('systemd-analyze', ['--version']).error !== undefined && 'there is no systemd-analyze'

/** What systemd-analyze says of a unit: its exit code and its words. */
function verify(folder: string, unit: string) {
  const file = join(folder, 'registry-manager.service')
  writeFileSync(file, unit)
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, words: stderr.trim() }
}

t.test('systemd accepts the unit, and says nothing against it', { skip: missing }, async (t) => {
  // The unit names the place of docs/on-a-real-host.md, where this repository is not.
  const here = UNIT.replaceAll('/opt/registry-manager', ROOT)
  t.strictSame(verify(t.testdir(), here), { status: 0, words: '' })
  const wrong = here.replace('KillMode=mixed', 'KilMode=mixed')
  t.match(verify(t.testdir(), wrong).words, 'KilMode', 'it would say so')
})

t.test('the unit runs a launcher that is there, and the page names the same places', async (t) => {
  const [, program = ''] = /^ExecStart=\S+ (\S+)$/m.exec(UNIT) ?? []
  t.ok(existsSync(join(ROOT, program)), program)
  const page = readFileSync(join(ROOT, 'docs', 'on-a-real-host.md'), 'utf8')
  const places = ['/opt/registry-manager', '/var/lib/registry-manager', '/etc/registry-manager.env']
  for (const place of places) {
    t.match(UNIT, place)
    t.match(page, place)
  }
})
