import { readFileSync } from 'node:fs'
import t from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { runCommand } from './harness/run-command.ts'
import { runConsoleExample } from './harness/console-example.ts'
import { startSystem } from './harness/system.ts'

const missing = (await dockerIsMissing()) || (await ensureCommands({ curl: 'curl', jq: 'jq' }))

t.test('the examples in the README and in docs/users.md work as printed', { skip: missing }, async (t) => {
  const system = await startSystem(t)
  const { env, docker } = await startDockerEngine(t)
  const empty = await runCommand('tar', ['--create', '--files-from=/dev/null'])
  await docker(['import', '-', 'alpine'], { input: empty.stdout })

  const variables = { ...env, PASSWORD: system.admin.password, JANES: 'a-password-of-janes' }
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  t.ok((await runConsoleExample(t, readme, system, variables)) >= 8, 'the README shows an example')

  const { password: JANES } = await system.createUser('jane', ['team'])
  const users = readFileSync(new URL('../docs/users.md', import.meta.url), 'utf8')
  const commands = await runConsoleExample(t, users, system, { ...variables, JANES })
  t.ok(commands >= 5, 'docs/users.md shows how to use a personal token')
})
