import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startPostgres } from '@registry-manager/testing/real-postgres'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

async function run(env: Record<string, string>, ...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.err += text))
  const [code] = await once(child, 'close')
  return { code: code as number | null, ...output }
}

t.test('the migrate command reports a missing DATABASE_URL', async (t) => {
  const { code, err } = await run({})
  t.equal(code, 1)
  t.match(err, 'DATABASE_URL is required')
})

t.test('the migrate command reads DATABASE_URL or DATABASE_URL_FILE, and refuses both', async (t) => {
  const DATABASE_URL = 'postgres://registry:hunter2@127.0.0.1:1/postgres'
  const folder = t.testdir({ url: `${DATABASE_URL}\n` })
  const fromFile = await run({ DATABASE_URL_FILE: `${folder}/url` })
  t.match(fromFile, { code: 1, err: 'ECONNREFUSED' })
  t.notMatch(fromFile.err, 'hunter2')
  t.match(await run({ DATABASE_URL_FILE: `${folder}/nowhere` }), {
    code: 1,
    err: 'DATABASE_URL_FILE cannot be read',
  })
  t.match(await run({ DATABASE_URL, DATABASE_URL_FILE: `${folder}/url` }), { code: 1, err: 'both set' })
})

t.test('the migrate command fails on an unavailable database and does not print its password', async (t) => {
  const { code, out, err } = await run({ DATABASE_URL: 'postgres://registry:hunter2@127.0.0.1:1/postgres' })
  t.equal(code, 1)
  t.match(err, 'ECONNREFUSED')
  t.notMatch(out + err, 'hunter2')
})

t.test('the migrate command migrates once and ends a command that waits for it', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const waiting = run({ DATABASE_URL: postgres.url }, '--wait')
  const first = await run({ DATABASE_URL: postgres.url })
  t.match(first, { code: 0, out: /^ran 2026-11-21-accounts/, err: '' })
  const second = await run({ DATABASE_URL: postgres.url })
  t.strictSame(second, { code: 0, out: 'the schema is up to date\n', err: '' })
  t.match(await waiting, { code: 0, out: /the schema is up to date\n$/, err: '' }, 'the waiting command ends')
  const late = await run({ DATABASE_URL: postgres.url }, '--wait')
  t.strictSame(late, { code: 0, out: 'the schema is up to date\n', err: '' })
})

t.test('the migrate command with --wait also waits for an unavailable database', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  await run({ DATABASE_URL: postgres.url })
  await postgres.stop()
  const waiting = run({ DATABASE_URL: postgres.url }, '--wait')
  await postgres.start()
  t.match(await waiting, { code: 0, out: /the schema is up to date\n$/ })
})
