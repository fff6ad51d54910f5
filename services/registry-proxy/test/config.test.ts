import { ConfigError } from '@registry-manager/http'
import t from 'tap'
import { readConfig } from '../src/config.ts'

const GIVEN = {
  PUBLIC_URL: 'https://registry.test:8443',
  AUTH_SERVICE_URL: 'http://127.0.0.1:9001',
  IMAGE_MANAGER_URL: 'http://image-manager:9002',
  REGISTRY_URL: 'http://127.0.0.1:5000',
  UPLOAD_SECRET: 'u'.repeat(32),
  SERVICE_CREDENTIAL: 's'.repeat(32),
}

t.test('settings that are absent follow from PUBLIC_URL', async (t) => {
  const [config, listen] = readConfig(GIVEN)
  t.equal(config.issuer, 'registry.test:8443')
  t.equal(config.service, 'registry.test:8443')
  t.equal(config.realm, 'https://registry.test:8443/auth/v2/token')
  t.same(listen, {
    host: '0.0.0.0',
    port: 8003,
    internalPort: 9003,
    shutdownDelaySeconds: 0,
    shutdownGraceSeconds: 30,
  })
})

t.test('TOKEN_SERVICE names the service', async (t) => {
  const [config] = readConfig({ ...GIVEN, TOKEN_SERVICE: 'images' })
  t.equal(config.service, 'images')
  t.equal(config.issuer, 'registry.test:8443')
})

t.test('BLOB_REDIRECTS lists origins', async (t) => {
  const listed = 'https://Images.S3.test:443, http://10.0.0.1:9000/'
  const [config] = readConfig({ ...GIVEN, BLOB_REDIRECTS: listed })
  t.same(config.storageOrigins, ['https://images.s3.test', 'http://10.0.0.1:9000'])
  t.same(readConfig(GIVEN)[0].storageOrigins, [], 'without it there is none')
})

const BAD: readonly [string, string][] = [
  ['UPLOAD_SECRET', 'too short'],
  ['SERVICE_CREDENTIAL', 'too short'],
  ['REGISTRY_URL', 'http://registry:5000/with/a/path'],
  ['REGISTRY_URL', 'ftp://registry:5000'],
  ['PUBLIC_URL', 'https://user@registry.test'],
  ['TOKEN_SERVICE', 'with "quotes"'],
  ['BLOB_REDIRECTS', 'true'],
  ['BLOB_REDIRECTS', 'https://s3.test/bucket'],
  ['BLOB_REDIRECTS', 'https://s3.test,https://key@s3.test'],
  ['BLOB_REDIRECTS', 'https://s3.test:99999'],
  ['PORT', '65536'],
  ['TRUSTED_PROXIES', 'everybody'],
  ['SHUTDOWN_GRACE_SECONDS', '9999'],
  ['LOG_LEVEL', 'loud'],
]

for (const [name, value] of BAD) {
  t.test(`the error for ${name}=${value} names the variable and not its value`, async (t) => {
    const error = t.throws(() => readConfig({ ...GIVEN, [name]: value }), ConfigError) as ConfigError
    t.match(error.message, name)
    t.notMatch(error.message, value)
  })
}

for (const name of Object.keys(GIVEN)) {
  t.test(`${name} is required`, async (t) => {
    t.throws(() => readConfig({ ...GIVEN, [name]: undefined }), { message: `${name} is required` })
  })
}
