import { existsSync } from 'node:fs'
import { cp, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { runCommand } from '../harness/run-command.ts'
import { pushSmallImage } from '../harness/small-image.ts'
import { basic, startEmbedded } from '../harness/system.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const npm = (command: string, file: string, dataDir: string) =>
  runCommand('npm', ['run', '--silent', command, '--', file], { cwd: ROOT, env: { DATA_DIR: dataDir } })

/** Returns the rows of accounts, repositories, manifests and tags in a backup. Other rows change during normal work. */
async function rowsOf(file: string): Promise<string[]> {
  const text = gunzipSync(await readFile(file)).toString()
  return text.split('\n').filter((line) => /^row (accounts|repositories|manifests|tags) /.test(line))
}

t.test('a backup restores accounts and index, with a copy of the image storage', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-backup-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const [before, after, file] = ['before', 'after', 'backup.gz'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const first = await startEmbedded(t, { dataDir: before })
  const jane = await first.createUser('jane', ['team'])
  const image = await pushSmallImage(first, jane, 'team/app', 'v1')
  const headers = { authorization: basic(jane), accept: '*/*' }
  const listOf = async (url: string) =>
    (await fetch(`${url}/image-manager/api/v1/repositories`, { headers })).json()
  const listed = await listOf(first.url)
  await npm('backup', file, before)
  t.equal((await stat(file)).mode & 0o777, 0o600, 'only the owner can read a backup: it has password hashes')
  await t.rejects(
    npm('backup', file, before),
    /already exists/,
    'a running system does not overwrite a backup',
  )
  await t.rejects(
    npm('restore', file, before),
    /another registry-manager .* uses it: stop that process first/,
  )
  t.strictSame(
    (await readdir(before)).filter((name) => name.startsWith('.backup')),
    [],
    'no temporary file is left',
  )
  const [, internal = ''] = /health +(http:\S+)\/NAME/.exec(first.output()) ?? []
  t.equal(
    (await fetch(`${internal}/backup`, { method: 'POST' })).status,
    401,
    'the backup endpoint requires the service credential',
  )
  await first.stop()
  await t.rejects(
    npm('backup', file, before),
    /already exists/,
    'a stopped system does not overwrite a backup',
  )
  const stopped = join(folder, 'stopped.gz')
  await npm('backup', stopped, before)
  t.same(
    await rowsOf(stopped),
    await rowsOf(file),
    'backups of a running and of a stopped system have the same rows',
  )

  const rubbish = join(folder, 'rubbish.gz')
  await writeFile(rubbish, 'this is no backup')
  await t.rejects(npm('restore', rubbish, after), /is not a backup/)
  await t.rejects(npm('restore', join(folder, 'none.gz'), after), /ENOENT/)
  t.notOk(existsSync(after), 'a failed restore leaves no data folder')
  await npm('restore', file, after)
  await t.rejects(npm('restore', file, after), /already holds accounts/)
  await cp(join(before, 'images'), join(after, 'images'), { recursive: true })

  const second = await startEmbedded(t, { dataDir: after, admin: first.admin })
  t.notMatch(second.output(), 'shown this once', 'the administrator was restored')
  t.same(await listOf(second.url), listed)
  const pulled = await fetch(`${second.url}/v2/team/app/manifests/v1`, { headers })
  t.equal(await pulled.text(), image.manifest)
  t.equal((await fetch(`${second.url}/v2/team/app/blobs/${image.layer}`, { headers })).status, 200)
  await pushSmallImage(second, jane, 'team/app', 'v2')
  const users = await fetch(`${second.url}/users`, { headers: { authorization: basic(first.admin) } })
  t.match(await users.json(), [{ username: 'admin' }, { username: 'jane', namespaces: ['team'] }])
})
