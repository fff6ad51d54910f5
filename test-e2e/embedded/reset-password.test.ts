import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runCommand } from '../harness/run-command.ts'
import { basic, startEmbedded } from '../harness/system.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const resetPassword = (dataDir: string, ...args: string[]) =>
  runCommand('npm', ['run', '--silent', 'reset-password', '--', ...args], {
    cwd: ROOT,
    env: { DATA_DIR: dataDir },
  })

t.test('a lost administrator password is replaced while npm start is stopped', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-reset-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const dataDir = join(folder, 'data')
  t.match((await resetPassword(dataDir, '--help')).stdout, /^usage: npm run reset-password -- NAME/)
  await t.rejects(resetPassword(dataDir, 'admin'), /no database is in .*: set DATA_DIR/)
  t.notOk(existsSync(dataDir), 'neither command creates the data folder')

  const first = await startEmbedded(t, { dataDir })
  const { username } = first.admin
  const offline = await fetch(`${first.url}/auth/v2/token?offline_token=true&scope=registry:catalog:*`, {
    headers: { authorization: basic(first.admin) },
  })
  const { refresh_token: refreshToken } = (await offline.json()) as { refresh_token: string }
  await t.rejects(resetPassword(dataDir, username), /npm start \(process \d+\) is using .*: stop it first/)
  await first.stop()

  await t.rejects(
    resetPassword(dataDir, 'nobody'),
    /there is no user "nobody"; cluster administrators: admin/,
  )
  const { stdout: said } = await resetPassword(dataDir, username)
  const [, password = ''] = /\(shown this once\): (\S+)/.exec(said) ?? []
  t.ok(password)

  const second = await startEmbedded(t, { dataDir, admin: { username, password } })
  t.notMatch(second.output(), password)
  const statusOf = async (credentials: { username: string; password: string }) =>
    (await fetch(`${second.url}/users`, { headers: { authorization: basic(credentials) } })).status
  t.equal(await statusOf({ username, password }), 200)
  t.equal(await statusOf(first.admin), 401)
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken })
  const refreshed = await fetch(`${second.url}/auth/v2/token`, { method: 'POST', body })
  t.equal(refreshed.status, 401, 'the refresh token from before is refused')
})
