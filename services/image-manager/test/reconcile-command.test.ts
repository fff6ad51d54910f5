import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { connectPostgres } from '@registry-manager/database'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { SERVICE_CREDENTIAL, startFakeAuthService } from './fixtures/fake-auth-service.ts'
import { MANIFEST, image } from './fixtures/index-and-registry.ts'
import { createMemoryRegistry } from './fixtures/memory-registry.ts'
import { contentsOfIndex, reachableIn } from './fixtures/reconcile.ts'
import { startRegistryServer } from '../../../packages/registry-client/test/fixtures/registry-server.ts'

const COMMAND = fileURLToPath(new URL('../src/reconcile-command.ts', import.meta.url))
const ONE = image('one')

/** Runs the command with exactly this environment. */
function run(env: Record<string, string>, ...args: string[]) {
  const child = spawn(process.execPath, [COMMAND, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.err += text))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }))
  return { child, ended }
}

async function start(t: Test) {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return undefined
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const auth = await startFakeAuthService({})
  t.teardown(auth.close)
  const registry = createMemoryRegistry()
  const server = await startRegistryServer(registry)
  t.teardown(server.close)
  const env = {
    PUBLIC_URL: 'https://registry.test',
    DATABASE_URL: postgres.url,
    AUTH_SERVICE_URL: auth.url,
    REGISTRY_URL: server.url,
    SERVICE_CREDENTIAL,
  }
  return { db, postgres, auth, registry, server, env }
}

t.test('bad settings and arguments are reported without a stack trace', async (t) => {
  const bad = await run({ REGISTRY_URL: 'x' }).ended
  t.equal(bad.code, 1)
  for (const name of ['PUBLIC_URL', 'DATABASE_URL', 'AUTH_SERVICE_URL', 'REGISTRY_URL', 'SERVICE_CREDENTIAL'])
    t.match(bad.err, name)
  const unknown = await run({}, '--force').ended
  t.equal(unknown.code, 1)
  t.match(unknown.err, '--force')
  t.notMatch(bad.err + unknown.err, /^\s+at /m)
})

t.test('npm run reconcile adopts the registry, resumes stopped runs and explains failures', async (t) => {
  const started = await start(t)
  if (started === undefined) return
  const { db, auth, registry, server, env, postgres } = started
  const names = Array.from({ length: 40 }, (_, index) => `team/app-${index + 10}`)

  t.test('the command adopts the images of the registry and prints its results', async (t) => {
    for (const name of names) registry.push(ONE, MANIFEST, 'v1', name)
    registry.push(Buffer.from('no JSON'), MANIFEST, 'bad', 'team/app-10')
    const { code, out, err } = await run(env).ended
    t.equal(code, 0)
    t.equal(err, '')
    t.match(out, /^started$/m)
    t.match(out, /^failed: team\/app-10 bad: the registry's manifest sha256:[0-9a-f]{64} is malformed/m)
    t.match(
      out,
      /^done: 40 repositories and 41 tags checked with \d+ requests, 40 manifests adopted, 40 tags set/m,
    )
    registry.repositories.get('team/app-10')?.tags.delete('bad')
    t.same(await contentsOfIndex(db), reachableIn(registry))
  })

  t.test('a stopped run is resumed by the next command', async (t) => {
    await db.deleteFrom('all_repositories').execute()
    const { child, ended } = run({ ...env, RECONCILE_CONCURRENCY: '1' })
    registry.after = (call) => void (call === 'GET tags team/app-40' && child.kill('SIGTERM'))
    const stopped = await ended
    registry.after = () => undefined
    t.equal(stopped.code, 1)
    t.match(stopped.out, /^stopped; the next run resumes from the saved position$/m)
    const there = Object.keys(await contentsOfIndex(db))
    // Repositories are recorded in groups of 16. The next run repeats the group in which this one stopped.
    t.ok(there.length >= 16 && there.length < 40, `${there.length} repositories were reconciled`)
    registry.calls.splice(0)
    const { code, out } = await run(env).ended
    t.equal(code, 0)
    t.match(out, /^resumed the run of \d{4}-\d\d-\d\dT[^:]+:[^:]+:[^:]+: \d\d repositories/m)
    t.notOk(registry.calls.includes('GET tags team/app-12'), 'finished repositories are not listed again')
    t.same(await contentsOfIndex(db), reachableIn(registry))
  })

  t.test('the run of a killed command is refused until its lease expires', async (t) => {
    const { child, ended } = run(env)
    registry.after = (call) => void (call === 'GET tags team/app-20' && child.kill('SIGKILL'))
    t.equal((await ended).code, null)
    registry.after = () => undefined
    const early = await run(env).ended
    t.equal(early.code, 1)
    t.match(early.err, /another process is running reconcile/)
    await db
      .updateTable('reconciliations')
      .set({ leased_until: sql`now()` })
      .execute()
    t.equal((await run(env).ended).code, 0)
  })

  t.test('an empty registry is accepted only with --believe-empty', async (t) => {
    const holding = [...registry.repositories]
    registry.repositories.clear()
    const { code, err } = await run(env).ended
    t.equal(code, 1)
    t.match(err, /lists no repository/)
    t.equal((await run(env, '--believe-empty').ended).code, 0)
    t.same(await contentsOfIndex(db), {})
    for (const [name, repository] of holding) registry.repositories.set(name, repository)
  })

  t.test('an unavailable dependency is named in one line, without secrets', async (t) => {
    auth.down = true
    const withoutAuth = await run(env).ended
    auth.down = false
    await server.close()
    const withoutRegistry = await run(env).ended
    await postgres.stop()
    const withoutDatabase = await run(env).ended
    t.match(
      withoutAuth.err,
      /^POST \/internal\/service-tokens at [\d.:]+ got no response\ninterrupted; the next run resumes from the saved position\n$/,
    )
    t.match(withoutRegistry.err, /^GET \/v2\/_catalog\?n=1000 at the registry got no response\ninterrupted; /)
    t.match(withoutDatabase.err, /ECONNREFUSED/)
    for (const { code, out, err } of [withoutAuth, withoutRegistry, withoutDatabase]) {
      t.equal(code, 1)
      t.notMatch(out + err, SERVICE_CREDENTIAL)
      t.notMatch(err, /^\s+at /m)
    }
  })
})
