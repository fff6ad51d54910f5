import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { startAndEnd } from '../harness/launcher.ts'
import { START, basic, startEmbedded } from '../harness/system.ts'

const cannotMount = process.getuid?.() !== 0 && 'only root can mount a small disk'

t.test('npm start explains a full disk at a start and during pushes', { skip: cannotMount }, async (t) => {
  const disk = await mkdtemp(join(tmpdir(), 'registry-manager-'))
  t.teardown(() => rm(disk, { recursive: true, force: true }).catch(() => undefined))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    t.comment(`no disk can be mounted here: ${mounted.stderr}`)
    return
  }
  t.teardown(() => void spawnSync('umount', ['--lazy', disk]))
  const small = { DATA_DIR: join(disk, 'data'), PORT: '0' }
  const full = await startAndEnd(START, small)
  t.equal(full.code, 1)
  t.match(full.lines, [
    /^the database in .*data\/database cannot be opened: no space left on the disk, ENOSPC$/,
  ])

  spawnSync('mount', ['-o', 'remount,size=64m', disk])
  const system = await startEmbedded(t, { dataDir: small.DATA_DIR })
  await until(
    () => /only \d+ MiB are free on the disk of/.test(system.output()),
    'the disk space is reported',
  )
  const headers = { authorization: basic(system.admin) }
  const begun = await fetch(`${system.url}/v2/team/app/blobs/uploads/`, { method: 'POST', headers })
  const location = new URL(begun.headers.get('location') ?? '', system.url)
  const body = Buffer.alloc(80 * 2 ** 20, 1)
  await fetch(location, { method: 'PATCH', headers, body }).catch(() => undefined)
  await until(() => system.output().includes('cannot store'), 'the full disk is reported')
  t.match(system.output(), /the registry cannot store data: no space left on device \(see .*registry\.log\)/)
  t.match(await readFile(join(small.DATA_DIR, 'logs', 'registry.log'), 'utf8'), 'no space left on device')
  await system.stop()
})
