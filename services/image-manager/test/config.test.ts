import { ConfigError } from '@registry-manager/http'
import t from 'tap'
import { readConfig } from '../src/config.ts'

const GOOD = {
  PUBLIC_URL: 'https://registry.test',
  DATABASE_URL: 'postgres://registry@db/registry',
  AUTH_SERVICE_URL: 'http://auth-service:9001',
  REGISTRY_URL: 'http://registry:5000',
  SERVICE_CREDENTIAL: 'x'.repeat(32),
}

t.test('RECONCILE_INTERVAL_SECONDS defaults to a day, may be 0, and must be a whole number', async (t) => {
  const intervalOf = (text?: string) =>
    readConfig({ ...GOOD, RECONCILE_INTERVAL_SECONDS: text })[0].reconcileIntervalSeconds
  t.equal(intervalOf(), 86_400, 'the default is a day')
  t.equal(intervalOf('60'), 60)
  t.equal(intervalOf('0'), 0, '0 is accepted')
  for (const bad of ['-1', 'daily', '1.5', '99999999']) {
    const refused = await Promise.try(() => intervalOf(bad)).catch((error: unknown) => error)
    t.ok(refused instanceof ConfigError, bad)
    t.match(refused, { message: /RECONCILE_INTERVAL_SECONDS .*seconds between two runs/ })
  }
})
