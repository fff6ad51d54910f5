import { ConfigError } from '@registry-manager/http'
import t from 'tap'
import { readConfig } from '../src/config.ts'

const ENV = {
  PUBLIC_URL: 'https://registry.example:8443',
  DATABASE_URL: 'postgres://registry:hunter2@127.0.0.1/registry',
  SIGNING_KEYS_DIR: '/keys',
  IMAGE_MANAGER_URL: 'http://127.0.0.1:9002',
  SERVICE_CREDENTIAL: 'x'.repeat(32),
}

/** The bad variables, and the error message. */
function faultsOf(env: Record<string, string>): { named: readonly (string | undefined)[]; message: string } {
  try {
    readConfig(env)
    return { named: [], message: '' }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return {
      named: error.faults.map((fault) => fault.split(' ', 1)[0]).toSorted(),
      message: error.message,
    }
  }
}

t.test('the required settings are enough, the others have defaults', async (t) => {
  const [config, surroundings] = readConfig(ENV)
  t.strictSame(config, {
    issuer: 'registry.example:8443',
    service: 'registry.example:8443',
    aliases: ['registry.example:8443', 'token-service', 'registry.example'],
    realm: 'https://registry.example:8443/auth/v2/token',
    publicOrigin: 'https://registry.example:8443',
    accessTokenLifeSeconds: 300,
    offlineGraceSeconds: 900,
    administrator: { username: 'admin', password: undefined },
    anonymousPull: false,
    federation: { privateOrigins: new Set(), ca: undefined },
    auditDays: 365,
    oidcProviders: [],
    imageManagerUrl: 'http://127.0.0.1:9002',
    serviceCredential: 'x'.repeat(32),
    trustedProxies: undefined,
    logLevel: 'info',
  })
  t.strictSame(surroundings, {
    host: '0.0.0.0',
    port: 8001,
    internalPort: 9001,
    shutdownDelaySeconds: 0,
    shutdownGraceSeconds: 30,
    databaseUrl: ENV.DATABASE_URL,
    signingKeysDir: '/keys',
  })
})

t.test('all missing settings are named at once', async (t) => {
  t.same(faultsOf({}).named, Object.keys(ENV).toSorted())
})

const BAD: Readonly<Record<string, readonly string[]>> = {
  PUBLIC_URL: ['registry.example', 'https://registry.example/path', 'ftp://registry.example'],
  TOKEN_SERVICE: ['a b', 'a"b', 'a,b'],
  TOKEN_TTL_SECONDS: ['59', '3601', '0', '-1', 'x', '300.5', 'true'],
  OFFLINE_GRACE_SECONDS: ['-1', '3601', 'x'],
  ANONYMOUS_PULL: ['yes', 'TRUE', '2'],
  ADMIN_USERNAME: ['-admin', 'ad min', 'admin/x'],
  ADMIN_PASSWORD: ['short', 'x'.repeat(1025)],
  DATABASE_URL: ['mysql://127.0.0.1', 'registry', '/var/lib'],
  IMAGE_MANAGER_URL: ['image-manager:9002', 'http://image-manager/path'],
  SERVICE_CREDENTIAL: ['too-short-a-secret'],
  LOG_LEVEL: ['loud'],
  PORT: ['65536', '-1', 'http'],
  INTERNAL_PORT: ['65536', 'x'],
}

t.test('every bad setting is named; the message has no secret value', async (t) => {
  for (const [name, values] of Object.entries(BAD)) {
    for (const value of values) {
      const { named, message } = faultsOf({ ...ENV, [name]: value })
      t.same(named, [name], `${name}=${value.slice(0, 40)}`)
      if (/PASSWORD|CREDENTIAL/.test(name)) t.notMatch(message, value)
    }
  }
  const all = faultsOf({
    ...ENV,
    ...Object.fromEntries(Object.entries(BAD).map(([name, [value]]) => [name, value ?? ''])),
  })
  t.same(all.named, Object.keys(BAD).toSorted(), 'all bad settings at once')
})

t.test('the life of an access token can be 60 to 3600 seconds', async (t) => {
  for (const seconds of ['60', '3600']) {
    t.equal(readConfig({ ...ENV, TOKEN_TTL_SECONDS: seconds })[0].accessTokenLifeSeconds, Number(seconds))
  }
  t.equal(readConfig({ ...ENV, OFFLINE_GRACE_SECONDS: '0' })[0].offlineGraceSeconds, 0)
})
