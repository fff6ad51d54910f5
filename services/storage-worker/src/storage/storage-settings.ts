import { ConfigError } from '@registry-manager/http'
import { Type } from 'typebox'
import type { Static } from 'typebox'

const optional = (description: string) => Type.Optional(Type.String({ description }))

/** The place of the registry's data. The names for S3 are those of distribution. */
export const storageSettings = {
  REGISTRY_VOLUME: optional("the registry's folder, which contains docker/registry/v2"),
  REGISTRY_STORAGE_S3_BUCKET: optional('bucket of a registry that stores images in S3'),
  REGISTRY_STORAGE_S3_REGION: optional('region of the bucket, such as eu-central-1'),
  REGISTRY_STORAGE_S3_REGIONENDPOINT: optional(
    'URL of an S3 other than Amazon’s, such as https://minio.example.com:9000',
  ),
  REGISTRY_STORAGE_S3_FORCEPATHSTYLE: Type.Boolean({
    default: true,
    description: 'with an endpoint: true for URLs such as https://host/bucket, false for https://bucket.host',
  }),
  REGISTRY_STORAGE_S3_SECURE: Type.Boolean({
    default: true,
    description: 'false: plain HTTP for an endpoint without a scheme',
  }),
  REGISTRY_STORAGE_S3_ROOTDIRECTORY: optional('folder in the bucket below which the registry stores images'),
  REGISTRY_STORAGE_S3_ACCESSKEY: optional('access key for the bucket (default: workload identity)'),
  REGISTRY_STORAGE_S3_SECRETKEY: optional('secret key for the bucket'),
}

const Settings = Type.Object(storageSettings)

/** The place of the registry's data. */
export type StorageConfig =
  | { readonly kind: 'volume'; readonly folder: string }
  | ({ readonly kind: 's3' } & S3Config)

export interface S3Config {
  readonly bucket: string
  readonly region: string
  /** Undefined for Amazon's S3. */
  readonly endpoint?: string
  readonly forcePathStyle: boolean
  readonly rootDirectory: string
  /** Undefined for workload identity. */
  readonly keys?: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

/**
 * The location of the data; undefined if the settings do not state it. Throws ConfigError for settings that contradict
 * each other.
 */
export function readStorage(values: Static<typeof Settings>): StorageConfig | undefined {
  const faults: string[] = []
  const text = (name: keyof typeof storageSettings) => unquote(values[name] as string | undefined)
  const bucket = text('REGISTRY_STORAGE_S3_BUCKET')
  const { REGISTRY_VOLUME: folder } = values
  if (bucket === undefined) return folder === undefined ? undefined : { kind: 'volume', folder }
  if (folder !== undefined)
    faults.push('REGISTRY_VOLUME and REGISTRY_STORAGE_S3_BUCKET are both set: set one of them')
  const endpoint = withScheme(text('REGISTRY_STORAGE_S3_REGIONENDPOINT'), values.REGISTRY_STORAGE_S3_SECURE)
  if (endpoint !== undefined && !URL.canParse(endpoint))
    faults.push('REGISTRY_STORAGE_S3_REGIONENDPOINT is not a URL such as https://minio.example.com:9000')
  const region = text('REGISTRY_STORAGE_S3_REGION') ?? (endpoint === undefined ? undefined : 'us-east-1')
  if (region === undefined)
    faults.push('REGISTRY_STORAGE_S3_REGION is required with REGISTRY_STORAGE_S3_BUCKET')
  const accessKeyId = text('REGISTRY_STORAGE_S3_ACCESSKEY')
  const secretAccessKey = text('REGISTRY_STORAGE_S3_SECRETKEY')
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    faults.push(
      'REGISTRY_STORAGE_S3_ACCESSKEY and REGISTRY_STORAGE_S3_SECRETKEY must be set together, or neither',
    )
  if (faults.length > 0) throw new ConfigError(faults)
  return {
    kind: 's3',
    bucket,
    region: region ?? '',
    endpoint,
    forcePathStyle: values.REGISTRY_STORAGE_S3_FORCEPATHSTYLE,
    rootDirectory: text('REGISTRY_STORAGE_S3_ROOTDIRECTORY') ?? '',
    ...(accessKeyId && secretAccessKey && { keys: { accessKeyId, secretAccessKey } }),
  }
}

/**
 * Removes the quotes that distribution needs around strings such as "12345": it reads its variables as YAML.
 * Source: distribution, docs/content/about/configuration.md, "Override specific configuration options".
 */
function unquote(value: string | undefined): string | undefined {
  if (value === undefined || !/^".*"$/.test(value)) return value
  try {
    return String(JSON.parse(value))
  } catch {
    return value
  }
}

function withScheme(endpoint: string | undefined, secure: boolean): string | undefined {
  if (endpoint === undefined || /^https?:\/\//.test(endpoint)) return endpoint
  return `${secure ? 'https' : 'http'}://${endpoint}`
}
