import { connectPostgres } from '@registry-manager/database'
import { spawn } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { createSigningKeys } from '../src/access-tokens/signing-key-files.ts'

const path = (name: string) => fileURLToPath(new URL(`../src/${name}`, import.meta.url))

/** Runs a file of src with exactly this environment. */
function run(name: string, env: Record<string, string> = {}, args: readonly string[] = []) {
  const child = spawn(process.execPath, [path(name), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.err += text))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }))
  return { child, ended, output }
}

/** Valid settings of the service. */
async function environment(folder: string, databaseUrl: string): Promise<Record<string, string>> {
  await createSigningKeys(folder)
  return {
    HOST: '127.0.0.1',
    PORT: '0',
    INTERNAL_PORT: '0',
    PUBLIC_URL: 'http://localhost:8500',
    DATABASE_URL: databaseUrl,
    SIGNING_KEYS_DIR: folder,
    IMAGE_MANAGER_URL: 'http://127.0.0.1:1',
    SERVICE_CREDENTIAL: 'x'.repeat(32),
    ADMIN_PASSWORD: 'the-first-password',
  }
}

t.test('bad settings stop the start before it listens; all are named, without a stack trace', async (t) => {
  const { code, out, err } = await run('main.ts', { PORT: 'x' }).ended
  t.equal(code, 1)
  t.equal(out, '')
  for (const name of [
    'PORT',
    'PUBLIC_URL',
    'DATABASE_URL',
    'SIGNING_KEYS_DIR',
    'IMAGE_MANAGER_URL',
    'SERVICE_CREDENTIAL',
  ]) {
    t.match(err, name)
  }
  t.notMatch(err, /^\s+at /m)
})

t.test('an unreachable database stops the start with one sentence', async (t) => {
  const env = await environment(t.testdir(), 'postgres://registry:hunter2@127.0.0.1:1/postgres')
  const { code, err } = await run('main.ts', env).ended
  t.equal(code, 1)
  t.match(err, /ECONNREFUSED/)
  t.notMatch(err, /hunter2|^\s+at /m)
})

t.test('the service starts, creates the first administrator, and stops on SIGTERM', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const env = await environment(t.testdir(), postgres.url)
  for (const start of ['first', 'second'] as const) {
    const { child, ended, output } = run('main.ts', env)
    t.teardown(() => child.kill('SIGKILL'))
    const urls = () => [...output.out.matchAll(/Server listening at (http:[^"]+)"/g)].map(([, url]) => url)
    while (urls().length < 2 && child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 50))
    const [internalUrl, publicUrl] = urls()
    t.equal((await fetch(`${internalUrl}/readyz`)).status, 200, `${start} start`)
    const authorization = `Basic ${Buffer.from('admin:the-first-password').toString('base64')}`
    const response = await fetch(`${publicUrl}/user`, { headers: { authorization } })
    t.match(await response.json(), { username: 'admin', admin: true })
    child.kill('SIGTERM')
    const { code, out, err } = await ended
    t.equal(code, 0, 'exit code')
    t.notMatch(out + err, 'the-first-password')
    t.equal(
      out.includes('ADMIN_PASSWORD is ignored'),
      start === 'second',
      'later starts log that they ignore ADMIN_PASSWORD',
    )
  }
})

t.test('the rotate-keys command rotates or replaces the signing keys', async (t) => {
  const folder = t.testdir()
  await createSigningKeys(folder)
  const keyOf = async (name: string) => createPrivateKey(await readFile(join(folder, `${name}.pem`), 'utf8'))
  const [current, next] = [await keyOf('current'), await keyOf('next')]
  const { code, out } = await run('rotate-keys.ts', { SIGNING_KEYS_DIR: folder }).ended
  t.equal(code, 0)
  t.match(out, /^rotated the signing keys in .* by one\n$/)
  t.ok((await keyOf('current')).equals(next))
  const stolen = [current, next, await keyOf('next')]
  t.equal((await run('rotate-keys.ts', { SIGNING_KEYS_DIR: folder }, ['--al']).ended).code, 2)
  t.ok((await keyOf('current')).equals(next), 'an unknown option changes nothing')
  t.match(await run('rotate-keys.ts', { SIGNING_KEYS_DIR: folder }, ['--all']).ended, {
    code: 0,
    out: /^replaced all signing keys/,
  })
  for (const name of ['current', 'next', 'retired']) {
    const key = await keyOf(name)
    t.notOk(
      stolen.some((old) => old.equals(key)),
      `${name} is new`,
    )
  }
  const lost = await run('rotate-keys.ts', { SIGNING_KEYS_DIR: join(folder, 'nowhere') }).ended
  t.equal(lost.code, 1)
  t.match(lost.err, /^could not rotate the signing keys in .*nowhere: /)
  t.notMatch(lost.err, /^\s+at /m)
})
