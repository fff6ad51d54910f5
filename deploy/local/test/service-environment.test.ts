import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '@registry-manager/http'
import type { Test } from 'tap'
import t from 'tap'
import { readConfig } from '../stack/config.ts'
import { planStorageWorkers } from '../stack/services.ts'
import { CONFIGS, SERVICE_NAMES, environmentOf, madeSettings } from '../stack/service-environment.ts'

const ADDRESSES = {
  databaseUrl: 'postgres://registry:hunter2@127.0.0.1:5432/postgres',
  authServiceUrl: 'http://127.0.0.1:9001',
  imageManagerUrl: 'http://127.0.0.1:9002',
  registryUrl: 'http://127.0.0.1:5000',
}

function plan(t: Test, given: NodeJS.ProcessEnv = {}) {
  const env = { NGINX_BINARY: '/usr/sbin/nginx', DATA_DIR: t.testdir(), ...given }
  const made = madeSettings(readConfig(env), ADDRESSES, env)
  return (service: (typeof SERVICE_NAMES)[number]) =>
    environmentOf({ service, port: 8001, internalPort: 9001 }, made, env)
}

t.test('each service gets every setting that it requires and no setting that it does not know', async (t) => {
  const environment = plan(t, { REPLICAS: '2', HTTPS_PORT: '8443', UNRELATED: 'x', PATH: '/bin' })
  for (const service of SERVICE_NAMES) {
    const { schema } = CONFIGS[service]
    const known = Object.keys(schema.properties)
    const given = Object.keys(environment(service))
    for (const name of schema.required) {
      const { default: fallback } = (schema.properties as Record<string, { default?: unknown }>)[name] ?? {}
      const isGiven = given.includes(name) || given.includes(`${name}_FILE`)
      t.ok(isGiven || fallback !== undefined, `${service} gets ${name}`)
    }
    t.strictSame(
      given.filter((name) => !known.includes(name.replace(/_FILE$/, ''))),
      [],
      `${service} knows all of its settings`,
    )
    t.match(environment(service), { TRUSTED_PROXIES: '127.0.0.1', HOST: '127.0.0.1', PORT: '8001' })
  }
})

t.test('the storage worker gets the folder of the images, and no other service does', async (t) => {
  const env = { NGINX_BINARY: '/usr/sbin/nginx', DATA_DIR: t.testdir() }
  const made = madeSettings(readConfig(env), ADDRESSES, env)
  const [worker] = await planStorageWorkers(readConfig(env))
  t.match(environmentOf(worker!, made, env), {
    REGISTRY_VOLUME: join(env.DATA_DIR, 'images'),
    IMAGE_MANAGER_URL: ADDRESSES.imageManagerUrl,
    PORT: undefined,
    DATABASE_URL_FILE: undefined,
  })
  t.notOk(plan(t)('registry-proxy')['REGISTRY_VOLUME'])
})

t.test('the storage worker runs where the images of another registry are known', async (t) => {
  const env = {
    NGINX_BINARY: '/usr/sbin/nginx',
    DATA_DIR: t.testdir(),
    REGISTRY_URL: 'http://127.0.0.1:5000',
  }
  t.same(await planStorageWorkers(readConfig(env)), [])
  const s3 = { REGISTRY_STORAGE_S3_BUCKET: 'images', REGISTRY_STORAGE_S3_REGION: 'eu-central-1' }
  const onS3 = { ...env, ...s3 }
  const [worker] = await planStorageWorkers(readConfig(onS3))
  t.match(environmentOf(worker!, madeSettings(readConfig(onS3), ADDRESSES, onS3), onS3), s3)
  t.match(await planStorageWorkers(readConfig({ ...env, REGISTRY_VOLUME: '/images' })), [
    { settings: { REGISTRY_VOLUME: '/images' } },
  ])
  t.throws(() => readConfig({ ...onS3, REGISTRY_URL: undefined }), /S3_BUCKET requires REGISTRY_URL/)
})

t.test('services get secrets as files, never as values in the environment', async (t) => {
  const environment = plan(t)
  for (const service of SERVICE_NAMES) {
    const values = JSON.stringify(environment(service))
    t.notMatch(values, 'hunter2')
    const { SERVICE_CREDENTIAL_FILE = '' } = environment(service)
    t.notMatch(values, readFileSync(SERVICE_CREDENTIAL_FILE, 'utf8'))
  }
  t.equal(readFileSync(environment('auth-service')['DATABASE_URL_FILE'] ?? '', 'utf8'), ADDRESSES.databaseUrl)
})

t.test('settings of the operator reach exactly the services that use them', async (t) => {
  const credential = 'c'.repeat(40)
  const environment = plan(t, {
    TOKEN_TTL_SECONDS: '60',
    SERVICE_CREDENTIAL: credential,
    SHUTDOWN_GRACE_SECONDS: '5',
    ADMIN_PASSWORD: 'a-password',
    LOG_LEVEL: 'debug',
  })
  t.match(environment('auth-service'), { TOKEN_TTL_SECONDS: '60', ADMIN_PASSWORD: 'a-password' })
  t.notMatch(environment('registry-proxy'), { ADMIN_PASSWORD: /./ })
  for (const service of SERVICE_NAMES) {
    t.match(environment(service), {
      SERVICE_CREDENTIAL: credential,
      SERVICE_CREDENTIAL_FILE: undefined,
      SHUTDOWN_GRACE_SECONDS: '5',
      LOG_LEVEL: 'debug',
    })
  }
})

t.test('an invalid setting of a service is a ConfigError before any process starts', async (t) => {
  const environment = plan(t, { TOKEN_TTL_SECONDS: '5' })
  t.throws(() => environment('auth-service'), ConfigError)
})

t.test('the stack has defaults for its own settings and refuses invalid ones', async (t) => {
  const env = { NGINX_BINARY: '/usr/sbin/nginx', DATA_DIR: t.testdir() }
  t.match(readConfig(env), {
    publicUrl: 'https://localhost:8443',
    service: 'localhost:8443',
    ports: { https: 8443, registry: 8500, http: 8080 },
    replicas: 1,
    clientLimits: { CLIENT_CONNECTIONS: '512', CLIENT_BODY_TIMEOUT: '60s' },
  })
  const limits = { CLIENT_CONNECTIONS: '7', CLIENT_BODY_TIMEOUT: '5m' }
  t.match(readConfig({ ...env, ...limits }).clientLimits, { ...limits, CLIENT_REQUEST_BURST: '1000' })
  t.match(readConfig({ ...env, HTTPS_PORT: '9443' }), { publicUrl: 'https://localhost:9443' })
  t.match(readConfig({ ...env, PUBLIC_URL: 'https://registry.example' }), { service: 'registry.example' })
  for (const [bad, told] of [
    [{ HTTPS_PORT: '8500' }, /four different ports/],
    [{ REPLICAS: '0' }, /REPLICAS/],
    [{ HTTP_PORT: 'x' }, /HTTP_PORT/],
    [{ CLIENT_BODY_TIMEOUT: '60s; }' }, /CLIENT_BODY_TIMEOUT/],
  ] as const) {
    t.throws(() => readConfig({ ...env, ...bad }), { message: told })
  }
})

t.test('the stack refuses the data folder of npm start', async (t) => {
  const env = { NGINX_BINARY: '/usr/sbin/nginx', DATA_DIR: t.testdir({ database: {} }) }
  t.throws(() => readConfig(env), { message: /is the data folder of npm start/ })
})
