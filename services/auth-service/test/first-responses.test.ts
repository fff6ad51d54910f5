import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { freePort } from '../../../deploy/local/free-port.ts'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { createSigningKeys } from '../src/access-tokens/signing-key-files.ts'
import { CREDENTIAL } from './fixtures/replicas.ts'

/** `STARTS=100 tap run …` measures more starts. */
const STARTS = Number(process.env['STARTS'] ?? 8)
const START_MS = 60_000
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const PASSWORD = 'the-first-password'
const basic = `Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}`

/** The first response of a URL, which is requested without a pause from before the service listens. */
async function firstAnswer(url: string, init: RequestInit): Promise<{ status: number; body: string }> {
  for (const end = Date.now() + START_MS; Date.now() < end; await sleep(2)) {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) }).catch(() => undefined)
    if (response !== undefined) return { status: response.status, body: await response.text() }
  }
  throw new Error(`${url} gave no response within ${START_MS / 1000} s`)
}

t.setTimeout(STARTS * START_MS)
t.test(
  `the first response of each port is right or 503, in ${STARTS} starts of a fresh installation`,
  async (t) => {
    const postgres = await startMigratedPostgres(t)
    if (postgres === undefined) return
    const db = connectPostgres(postgres.url)
    t.teardown(() => db.destroy())
    const folder = t.testdir()
    await createSigningKeys(folder)
    const wrong: string[] = []
    for (let start = 0; start < STARTS; start += 1) {
      await db.deleteFrom('accounts').execute()
      const [port, internalPort] = [await freePort(), await freePort()]
      const env = {
        HOST: '127.0.0.1',
        PORT: String(port),
        INTERNAL_PORT: String(internalPort),
        PUBLIC_URL: 'http://localhost:8500',
        DATABASE_URL: postgres.url,
        SIGNING_KEYS_DIR: folder,
        IMAGE_MANAGER_URL: 'http://127.0.0.1:1',
        SERVICE_CREDENTIAL: CREDENTIAL,
        ADMIN_PASSWORD: PASSWORD,
        LOG_LEVEL: 'warn',
      }
      const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'ignore', 'inherit'] })
      try {
        const [publicUrl, internalUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${internalPort}`]
        const exchange = {
          method: 'POST',
          headers: { authorization: `Bearer ${CREDENTIAL}`, 'content-type': 'application/json' },
          body: JSON.stringify({ username: 'admin', password: PASSWORD, address: '192.0.2.1', access: null }),
        }
        const asInternal = { headers: { authorization: `Bearer ${CREDENTIAL}` } }
        const answers = {
          token: await Promise.all([
            firstAnswer(`${publicUrl}/auth/v2/token`, { headers: { authorization: basic } }),
            firstAnswer(`${publicUrl}/user`, { headers: { authorization: basic } }),
            firstAnswer(`${internalUrl}/internal/token-exchanges`, exchange),
            firstAnswer(`${internalUrl}/internal/revocations`, asInternal),
          ]),
        }
        for (const { status, body } of answers.token) {
          if (status !== 503 && (status !== 200 || body.includes('"refused"')))
            wrong.push(`${start}: ${status} ${body}`)
        }
      } finally {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    t.same(wrong, [])
  },
)
