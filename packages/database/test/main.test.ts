import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startPostgres } from './fixtures/real-postgres.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

async function run(env: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
  const [code] = await once(child, 'close')
  return { code: code as number | null, ...said }
}

t.test('without a DATABASE_URL it says so', async (t) => {
  const { code, err } = await run({})
  t.equal(code, 1)
  t.match(err, 'DATABASE_URL is required')
})

t.test('a database that is not there is a failure, and its password is not told', async (t) => {
  const { code, out, err } = await run({ DATABASE_URL: 'postgres://registry:hunter2@127.0.0.1:1/postgres' })
  t.equal(code, 1)
  t.match(err, 'ECONNREFUSED')
  t.notMatch(out + err, 'hunter2')
})

t.test('it brings a database to the schema, and says what it did', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const first = await run({ DATABASE_URL: postgres.url })
  t.match(first, { code: 0, out: /^ran 2026-11-21-accounts/, err: '' })
  const second = await run({ DATABASE_URL: postgres.url })
  t.strictSame(second, { code: 0, out: 'the schema is up to date\n', err: '' })
})
