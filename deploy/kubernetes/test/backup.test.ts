import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { runCommand } from '../../../test-e2e/harness/run-command.ts'
import { manifestsOf, ofKind } from '../kustomize/manifest.ts'

const BACKUP = new URL('../components/backup/backup.yaml', import.meta.url)
const DATABASE = fileURLToPath(new URL('../../../packages/database/src', import.meta.url))
/** Backups of 20 nights, the oldest first. */
const OLDER = Array.from(
  { length: 20 },
  (_, at) => `registry-manager-202601${String(at + 1).padStart(2, '0')}T021700Z.gz`,
)

t.test('the CronJob backs up a real Postgres, keeps the newest files, and restores from them', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const [job] = ofKind(manifestsOf(readFileSync(BACKUP, 'utf8')), 'CronJob')
  const [{ command, env }] = job!['spec'].jobTemplate.spec.template.spec.containers
  const keep = env.find(({ name }: { name: string }) => name === 'KEEP').value as string
  const folder = t.testdir()
  const backups = join(folder, 'backups')
  await mkdir(backups)
  for (const name of [...OLDER, 'registry-manager-20251231T021700Z.gz.part', 'unrelated.txt'])
    writeFileSync(join(backups, name), '')
  // The image's command of this name, for this checkout.
  const program = join(folder, 'registry-manager')
  writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${DATABASE}/backup/main.ts "$@"\n`)
  chmodSync(program, 0o755)
  const [shell, flags, script] = command as [string, string, string]
  const settings = { DATABASE_URL: postgres.url, KEEP: keep, PATH: `${folder}:${process.env['PATH']}` }
  const run = (environment: Record<string, string>) =>
    runCommand(shell, [flags, script.replaceAll('/backups', backups)], { env: environment })

  await runCommand(process.execPath, [join(DATABASE, 'main.ts')], { env: settings })
  await run(settings)
  const files = readdirSync(backups).toSorted()
  t.equal(files.at(-1), 'unrelated.txt', 'files of other names stay')
  const kept = files.slice(0, -1)
  t.equal(kept.length, Number(keep))
  t.same(kept.slice(0, -1), OLDER.slice(1 - Number(keep)), 'the newest ones are kept, and no unfinished file')
  const newest = join(backups, kept.at(-1) ?? '')
  t.match(newest, /registry-manager-\d{8}T\d{6}Z\.gz$/)

  // Names have seconds, and a backup replaces no file.
  await sleep(1100)
  await t.rejects(
    run({ ...settings, DATABASE_URL: 'postgres://registry:x@127.0.0.1:1/none' }),
    /ECONNREFUSED/,
  )
  t.same(readdirSync(backups).toSorted(), files, 'a failed backup removes nothing')
  t.match(await runCommand(program, ['restore', newest], { env: settings }), { stderr: /restored \d+ rows/ })
})
