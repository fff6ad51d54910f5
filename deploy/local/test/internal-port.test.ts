import { readdirSync, writeFileSync } from 'node:fs'
import { health, createMetrics, createServer } from '@registry-manager/http'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import { createInternalPort, removeUnfinishedBackups } from '../internal-port.ts'

async function serviceThatIs(state: 'ok' | 'failed') {
  const metrics = createMetrics('a-service')
  const app = createServer({ name: 'a-service', logLevel: 'silent', metrics })
  const check = async () => {
    if (state === 'failed') throw new Error('no connection')
    return 'ok' as const
  }
  await app.register(health, { metrics, checks: { part: check } })
  app.get('/internal/secret', async () => 'secret')
  return app
}

const CREDENTIAL = 'a credential of more than 32 characters'

t.test(
  '/readyz responds 503 if one service is not ready, and only probes and metrics of services are routed',
  async (t) => {
    const apps = { good: await serviceThatIs('ok'), bad: await serviceThatIs('failed') }
    const options = { apps, backupCredential: CREDENTIAL, backup: async () => {}, folder: t.testdir() }
    const app = createInternalPort({ ...options, logLevel: 'silent' })
    t.teardown(() => app.close())
    const get = async (url: string) => (await app.inject(url)).statusCode
    t.equal(await get('/livez'), 200)
    t.equal(await get('/readyz'), 503)
    t.equal(await get('/good/readyz'), 200)
    t.equal(await get('/bad/readyz'), 503)
    t.equal(await get('/bad/metrics'), 200)
    for (const path of [
      '/good/internal/secret',
      '/internal/secret',
      '/good/../good/internal/secret',
      '/other/livez',
    ]) {
      t.equal(await get(path), 404, path)
    }
    t.match((await app.inject('/readyz')).json(), {
      services: { bad: { parts: { part: { reason: 'no connection' } } } },
    })
  },
)

t.test('POST /backup requires the credential, and leaves no file after its response', async (t) => {
  const folder = t.testdir()
  let made = 0
  const backup = async (file: string) => {
    made += 1
    writeFileSync(file, 'the backup')
  }
  const app = createInternalPort({
    apps: {},
    backupCredential: CREDENTIAL,
    backup,
    folder,
    logLevel: 'silent',
  })
  t.teardown(() => app.close())
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const post = (authorization: string) =>
    fetch(`${url}/backup`, { method: 'POST', headers: { authorization } })
  for (const wrong of ['', 'Bearer', 'Bearer another', `Basic ${CREDENTIAL}`]) {
    t.equal((await post(wrong)).status, 401, wrong)
  }
  t.equal((await fetch(`${url}/backup`)).status, 404, 'GET /backup does not exist')
  t.equal(made, 0)
  const response = await post(`Bearer ${CREDENTIAL}`)
  t.equal(await response.text(), 'the backup')
  await until(() => readdirSync(folder).length === 0, 'the backup file is removed')
})

t.test('removeUnfinishedBackups removes the backup files of a killed process and no others', async (t) => {
  const left = ['.backup-0123456789ab', '.backup-0123456789ab.0123456789ab.part']
  const others = ['.backup-mine', 'backup-0123456789ab', 'images']
  const folder = t.testdir(Object.fromEntries([...left, ...others].map((name) => [name, 'x'])))
  removeUnfinishedBackups(folder)
  t.strictSame(readdirSync(folder).toSorted(), others.toSorted())
})
