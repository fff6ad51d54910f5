import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { connectPostgres, runBackupCommand } from '../../../packages/database/src/index.ts'
import { readConfig } from '../stack/config.ts'
import { prepareDatabase } from '../stack/database.ts'

t.test('restore.gz in the data folder is restored once, and only into an empty database', async (t) => {
  const [one, other] = [await startPostgres(t), await startPostgres(t)]
  if (one === undefined || other === undefined) return
  const folder = t.testdir()
  const said: string[] = []
  const prepare = (url: string, name: string) =>
    prepareDatabase(url, readConfig({ DATA_DIR: join(folder, name), ADMIN_USERNAME: name }), (line) =>
      said.push(line),
    )
  const accountsOf = async (url: string) => {
    const db = connectPostgres(url)
    const accounts = db.selectFrom('accounts').select(['id', 'username']).execute()
    return accounts.finally(() => db.destroy())
  }
  t.type(await prepare(one.url, 'first'), 'string', 'a password was generated')
  const backup = join(folder, 'backup.gz')
  const db = connectPostgres(one.url)
  await runBackupCommand(db, 'backup', backup).finally(() => db.destroy())

  const file = join(folder, 'second', 'restore.gz')
  mkdirSync(join(folder, 'second'))
  copyFileSync(backup, file)
  t.equal(await prepare(other.url, 'second'), undefined, 'the restored database already has an administrator')
  t.match(said, [/restored \d+ rows of .*restore\.gz/])
  t.same(await accountsOf(other.url), await accountsOf(one.url))
  t.same([existsSync(file), existsSync(`${file}.restored`)], [false, true])
  await prepare(other.url, 'second')
  t.equal(said.length, 1)

  copyFileSync(backup, file)
  await t.rejects(
    prepare(other.url, 'second'),
    /restore\.gz cannot be restored: the database already holds accounts/,
  )
  t.equal(existsSync(file), true)
})
