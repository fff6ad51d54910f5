import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runCommand } from '../harness/run-command.ts'
import { basic, startStack } from '../harness/system.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

t.test('a lost administrator password is replaced only while npm run stack runs', async (t) => {
  const system = await startStack(t)
  const { url, dataDir, admin } = system
  const reset = () =>
    runCommand('npm', ['run', '--silent', 'reset-password', '--', admin.username], {
      cwd: ROOT,
      env: { DATA_DIR: dataDir },
    })
  const statusOf = async (password: string) =>
    (await fetch(`${url}/users`, { headers: { authorization: basic({ ...admin, password }) } })).status
  t.equal(await statusOf(admin.password), 200)
  const [, password = ''] = /\(shown this once\): (\S+)/.exec((await reset()).stdout) ?? []
  t.equal(await statusOf(password), 200)
  t.equal(await statusOf(admin.password), 401)
  await system.stop()
  await t.rejects(reset(), /npm run stack is not running with .*: start it first/)
})
