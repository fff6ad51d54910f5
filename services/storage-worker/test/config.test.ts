import { ConfigError } from '@registry-manager/http'
import t from 'tap'
import { readConfig } from '../src/config.ts'

const REQUIRED = { IMAGE_MANAGER_URL: 'http://image-manager:9002', SERVICE_CREDENTIAL: 'x'.repeat(32) }
const S3 = { REGISTRY_STORAGE_S3_BUCKET: 'images', REGISTRY_STORAGE_S3_REGION: 'eu-central-1' }
const storageOf = (env: Record<string, string>) => readConfig({ ...REQUIRED, ...env })[0].storage

t.test('the storage is a volume or a bucket', async (t) => {
  t.same(storageOf({ REGISTRY_VOLUME: '/var/lib/registry' }), { kind: 'volume', folder: '/var/lib/registry' })
  t.match(storageOf(S3), {
    kind: 's3',
    bucket: 'images',
    region: 'eu-central-1',
    endpoint: undefined,
    rootDirectory: '',
    keys: undefined,
  })
})

t.test('the settings of S3 have the same meaning as in distribution', async (t) => {
  const endpoint = (env: Record<string, string>) =>
    storageOf({ REGISTRY_STORAGE_S3_BUCKET: 'images', ...env })
  t.match(
    endpoint({
      REGISTRY_STORAGE_S3_REGIONENDPOINT: 'http://minio:9000',
      REGISTRY_STORAGE_S3_ACCESSKEY: '"1e3"',
      REGISTRY_STORAGE_S3_SECRETKEY: 'secret',
      REGISTRY_STORAGE_S3_ROOTDIRECTORY: '/images',
    }),
    {
      endpoint: 'http://minio:9000',
      forcePathStyle: true,
      keys: { accessKeyId: '1e3', secretAccessKey: 'secret' },
      rootDirectory: '/images',
    },
  )
  for (const [secure, scheme] of [
    ['true', 'https'],
    ['false', 'http'],
  ] as const)
    t.match(
      endpoint({ REGISTRY_STORAGE_S3_REGIONENDPOINT: 'minio:9000', REGISTRY_STORAGE_S3_SECURE: secure }),
      { endpoint: `${scheme}://minio:9000` },
    )
  t.match(
    endpoint({ REGISTRY_STORAGE_S3_REGIONENDPOINT: 'minio', REGISTRY_STORAGE_S3_FORCEPATHSTYLE: 'false' }),
    { forcePathStyle: false },
  )
})

t.test('settings that contradict each other are refused, without the values of secrets', async (t) => {
  const faults = [
    [{}, /set REGISTRY_VOLUME \(a folder\) or REGISTRY_STORAGE_S3_BUCKET \(a bucket\)/],
    [{ ...S3, REGISTRY_VOLUME: '/images' }, /REGISTRY_VOLUME and REGISTRY_STORAGE_S3_BUCKET are both set/],
    [{ REGISTRY_STORAGE_S3_BUCKET: 'images' }, /REGISTRY_STORAGE_S3_REGION is required/],
    [{ ...S3, REGISTRY_STORAGE_S3_SECRETKEY: 'hidden' }, /ACCESSKEY and .*SECRETKEY must be set together/],
    [{ ...S3, REGISTRY_STORAGE_S3_REGIONENDPOINT: 'https://[' }, /REGIONENDPOINT is not a URL/],
  ] as const
  for (const [env, message] of faults) {
    t.throws(() => storageOf(env), message)
    try {
      storageOf(env)
    } catch (error) {
      t.type(error, ConfigError)
      t.notMatch(String(error), 'hidden')
    }
  }
})
