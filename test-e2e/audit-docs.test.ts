import { readFileSync } from 'node:fs'
import t from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { makeImage } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { registryTokens, scope } from './harness/registry-tokens.ts'
import { runCommand } from './harness/run-command.ts'
import { basic, startSystem } from './harness/system.ts'
import { until } from '@registry-manager/testing/until'

/* Runs the commands of docs/audit.md as they are printed; only the URL is replaced. */

const page = readFileSync(new URL('../docs/audit.md', import.meta.url), 'utf8')
const commands = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text ?? '')
const missing = await ensureCommands({ curl: 'curl', jq: 'jq' })

t.test('every command of docs/audit.md answers its question', { skip: missing }, async (t) => {
  const system = await startSystem(t)
  const { username, password } = system.admin
  const run = async (command: string) => {
    const script = command.replaceAll('https://registry.example.com', system.url)
    const env = { ADMIN: `${username}:${password}` }
    const { stdout } = await runCommand('sh', ['-euc', script], { env })
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'))
  }
  const [deletedTag = '', ofToken = '', failedSignIns = '', rights = '', ...others] = commands
  t.strictSame(others, [], 'every block of the page is run')

  const jane = await system.createUser('jane', ['team'])
  const tokens = await registryTokens(system)
  const ci = await tokens.make('team-ci', [scope('team/*', 'pull', 'push', 'delete')])
  const pusher = createRegistryClient(system.url, basic(ci))
  for (const tag of ['1.0', '2.0']) await pusher.push('team/app', makeImage(), tag)
  const deleted = await pusher.send('DELETE', '/v2/team/app/manifests/1.0')
  t.equal(deleted.status, 202)
  const change = await fetch(`${system.url}/user`, {
    method: 'PATCH',
    headers: { authorization: basic(system.admin), 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'jane', role: 'administrator' }),
  })
  t.equal(change.status, 200)
  for (const wrong of [
    { ...jane, password: 'wrong' },
    { username: 'a-typed-password', password: 'x' },
  ]) {
    const refused = await fetch(`${system.url}/v2/_catalog`, { headers: { authorization: basic(wrong) } })
    t.equal(refused.status, 401)
  }

  await t.test('docs/audit.md: who deleted this tag', async (t) => {
    const [line, ...more] = await run(deletedTag)
    t.match(line, [/^\d{4}-.*Z$/, 'team-ci', /^[0-9a-f.:]+$/, 'tag.delete', 'team/app:1.0'])
    t.strictSame(more, [])
  })

  await t.test('docs/audit.md: what did this registry token do today', async (t) => {
    const done = (await run(ofToken)).map(([, , action, target, outcome]) => [action, target, outcome])
    t.strictSame(done, [
      ['tag.delete', 'team/app:1.0', 'done'],
      ['push', 'team/app:2.0', 'done'],
      ['push', 'team/app:1.0', 'done'],
    ])
  })

  await t.test('docs/audit.md: which sign-ins failed in the last hour', async (t) => {
    let failed: string[][] = []
    await until(async () => {
      failed = await run(failedSignIns)
      return failed.length >= 2
    }, 'the refused sign-ins are events')
    const shown = failed.map(([, account, address, reason]) => [
      account,
      /^[0-9a-f.:]+$/.test(address ?? ''),
      reason,
    ])
    t.strictSame(shown.toSorted(), [
      ['-', true, 'unknown-user'],
      ['jane', true, 'wrong-password'],
    ])
    t.notMatch(JSON.stringify(failed), 'a-typed-password')
  })

  await t.test('docs/audit.md: who gave this user these rights', async (t) => {
    const [updated, created, ...more] = (await run(rights)).map(([, ...cells]) => cells)
    t.match(updated, [username, 'user.update'])
    t.strictSame(JSON.parse(updated?.[2] ?? ''), { role: { from: 'user', to: 'administrator' } })
    t.match(created, [username, 'user.create', /"namespaces":\["team"\]/])
    t.strictSame(more, [])
  })
})
