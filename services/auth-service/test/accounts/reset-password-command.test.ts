import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { createAccounts } from '../../src/accounts/index.ts'
import { planUser } from '../fixtures/accounts.ts'

const COMMAND = fileURLToPath(new URL('../../src/reset-password.ts', import.meta.url))
const ROOT = new URL('../../../../', import.meta.url)
const SCRIPT = new URL('deploy/docker/registry-manager', ROOT)

async function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [COMMAND, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
  const [code] = await once(child, 'close')
  return { code: code as number | null, ...said }
}

t.test('reset-password --help explains the command without a database', async (t) => {
  for (const help of [['--help'], ['-h'], ['admin', '--help']]) {
    t.match(await run(help), { code: 0, out: /^usage: registry-manager reset-password NAME/, err: '' })
  }
})

t.test('reset-password refuses arguments that it does not have', async (t) => {
  for (const args of [[], ['one', 'two'], ['--all'], ['--leave-directory']]) {
    t.match(await run(args), { code: 2, out: '', err: /^usage: / }, args.join(' '))
  }
})

t.test('reset-password reports an unavailable database and prints no secret', async (t) => {
  t.match(await run(['admin']), { code: 1, err: 'DATABASE_URL is required' })
  const env = { DATABASE_URL: 'postgres://registry:hunter2@127.0.0.1:1/postgres' }
  const { code, out, err } = await run(['admin'], env)
  t.equal(code, 1)
  t.match(err, /^the password was not reset: .*ECONNREFUSED/)
  t.notMatch(out + err, 'hunter2')
})

t.test('reset-password prints the new password of a user once, and it is the one that works', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const users = createAccounts(db)
  await users.create(planUser('root', { role: 'cluster-administrator' }))
  await users.create(planUser('dora', { directory: true, password: null }))
  await users.create(planUser('jane', { enabled: false }))
  const env = { DATABASE_URL: postgres.url }

  const { code, out, err } = await run(['root'], env)
  t.strictSame([code, err], [0, ''])
  const [, password = ''] = /^new password of root \(shown this once\): (\S+)$/m.exec(out) ?? []
  t.match(out, 'all sessions of root have ended')
  const stored = await users.find('root')
  t.equal(await users.verifyPassword(password, stored?.passwordHash ?? null), true)
  t.equal(await users.verifyPassword('a-good-password', stored?.passwordHash ?? null), false)

  const event = await db
    .selectFrom('events')
    .selectAll()
    .where('action', '=', 'user.password')
    .executeTakeFirstOrThrow()
  t.match(event, { principal_kind: 'command', principal_name: 'reset-password', account_name: 'root' })
  t.notMatch(JSON.stringify(event), password)

  t.match(await run(['jane'], env), { code: 0, out: 'jane is still disabled' })
  t.match(await run(['dora'], env), {
    code: 1,
    out: '',
    err: /reset the password in the directory.*--leave-directory/,
  })
  t.match(await run(['dora', '--leave-directory'], env), { code: 0, out: 'new password of dora' })
  t.match(await run(['nobody'], env), {
    code: 1,
    err: 'there is no user "nobody"; cluster administrators: root',
  })
})

t.test("the image's script explains reset-password and does nothing for --help", async (t) => {
  const script = readFileSync(SCRIPT, 'utf8').replace('cd /app', `cd ${fileURLToPath(ROOT)}`)
  const child = spawn('sh', ['-c', script, 'registry-manager', 'reset-password', '--help'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const [code] = await once(child, 'close')
  t.equal(code, 0)
  t.match(out, /^ +reset-password NAME /m)
})
