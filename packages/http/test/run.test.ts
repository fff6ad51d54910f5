import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'
import { ConfigError } from '../src/config.ts'
import { explainStartFailure } from '../src/run.ts'
import { until as untilSo } from '@registry-manager/testing/until'

const SLOW_SERVICE = fileURLToPath(new URL('fixtures/slow-service.ts', import.meta.url))

const CASES = [
  ['bad settings', new ConfigError(['PORT must be integer']), /not valid:\n {2}PORT must be integer/],
  [
    'a port in use',
    Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE', port: 8500, address: '127.0.0.1' }),
    /^port 8500 on 127\.0\.0\.1 is in use/,
  ],
  [
    'a port below 1024',
    Object.assign(new Error('listen EACCES'), { code: 'EACCES', port: 80 }),
    /^port 80 needs/,
  ],
  ['an unreadable file', Object.assign(new Error('open /x'), { code: 'EACCES' }), /^open \/x, EACCES$/],
  ['anything else', new Error('it broke'), /^it broke$/],
] as const

t.test('explainStartFailure describes in one sentence why a service failed to start', async (t) => {
  for (const [why, error, sentence] of CASES) t.match(explainStartFailure(error), sentence, why)
})

/** Starts the slow service, and waits until it listens on its internal port. */
async function startUnreadyService(t: Test, ...options: (number | string)[]) {
  const child = spawn(process.execPath, [SLOW_SERVICE, ...options.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const until = (pattern: RegExp) => untilSo(() => pattern.test(output), `the service logs ${pattern}`)
  const urls = () => [...output.matchAll(/Server listening at (http:[^"]+)"/g)].map(([, url]) => url ?? '')
  await until(/Server listening/)
  return { child, ended: once(child, 'exit'), until, urls }
}

/** Starts the slow service; returns the URLs of both ports once it listens there. */
async function startSlowService(t: Test, ...seconds: number[]) {
  const { child, ended, until, urls } = await startUnreadyService(t, ...seconds)
  const first = { status: (await fetch(`${urls()[0]}/readyz`)).status, ports: urls().length }
  child.stdin.write('be ready')
  await until(/Server listening[^]*Server listening/)
  const [internalUrl = '', publicUrl = ''] = urls()
  return { child, ended, until, first, internalUrl, publicUrl }
}

t.test('the public port opens only once the service is ready', async (t) => {
  const { first, internalUrl, publicUrl } = await startSlowService(t)
  t.strictSame(first, { status: 503, ports: 1 })
  t.equal((await fetch(`${internalUrl}/readyz`)).status, 200)
  t.equal(await (await fetch(`${publicUrl}/slow/0`)).text(), 'done')
})

t.test(
  'a stopping service is not ready, then refuses connections, then ends after its last request',
  async (t) => {
    const { child, ended, until, internalUrl, publicUrl } = await startSlowService(t, 1, 30)
    const slow = fetch(`${publicUrl}/slow/3000`)
    await until(/slow request arrived/)
    child.kill('SIGTERM')
    const readiness = async () => (await fetch(`${internalUrl}/readyz`)).status
    await untilSo(async () => (await readiness()) !== 200)
    t.equal((await fetch(`${publicUrl}/slow/0`)).status, 200, 'it still accepts connections during the delay')
    await t.rejects(
      async () => {
        for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
          await fetch(`${publicUrl}/slow/0`, { headers: { connection: 'close' } })
        }
      },
      { message: 'fetch failed' },
      'it refuses connections afterwards',
    )
    t.equal(await readiness(), 503, 'the internal port still responds')
    t.equal(await (await slow).text(), 'done')
    t.strictSame(await ended, [0, null])
  },
)

t.test('endless requests do not keep a stopping service alive', async (t) => {
  const { child, ended, until, publicUrl } = await startSlowService(t, 0, 1)
  const endless = t.rejects(fetch(`${publicUrl}/slow/600000`))
  await until(/slow request arrived/)
  child.kill('SIGTERM')
  await endless
  t.strictSame(await ended, [0, null])
})

t.test('a service that is stopped before its public port is open ends without an error', async (t) => {
  const unready = await startUnreadyService(t, 0, 1, 'slow-port')
  unready.child.kill('SIGTERM')
  t.strictSame(await unready.ended, [0, null], 'before it is ready')

  const opening = await startUnreadyService(t, 0, 1, 'slow-port')
  opening.child.stdin.write('be ready')
  await opening.until(/opens soon/)
  opening.child.kill('SIGTERM')
  t.strictSame(await opening.ended, [0, null], 'while the public port opens')
})
