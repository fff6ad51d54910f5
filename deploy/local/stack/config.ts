import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ConfigError, readEnvironment, settings } from '@registry-manager/http'
import { tokenNaming } from '@registry-manager/principal'
import { storageSettings } from '@registry-manager/storage-worker/config'
import { Type } from 'typebox'
import { registryStorage } from '../registry-storage.ts'

const count = (fallback: number, description: string) =>
  // The largest number that nginx accepts for connections.
  Type.Integer({ default: fallback, minimum: 1, maximum: 65_535, description })
const duration = (fallback: string, description: string) =>
  Type.String({ default: fallback, pattern: '^[1-9][0-9]*[sm]$', description })
const optional = (description: string) => Type.Optional(Type.String({ description }))

/** Limits for one client, by their names in deploy/nginx. */
const clientLimits = {
  CLIENT_CONNECTIONS: count(512, "nginx's limit of concurrent requests from one address"),
  CLIENT_REQUESTS_PER_SECOND: count(500, "nginx's limit of requests a second from one address"),
  CLIENT_REQUEST_BURST: count(1000, 'number of requests above that rate that nginx accepts in a burst'),
  CLIENT_HEADER_TIMEOUT: duration('15s', 'time within which nginx must receive the headers of a request'),
  CLIENT_BODY_TIMEOUT: duration('60s', 'maximum pause of a client while it sends a body'),
}

export const schema = Type.Object({
  HTTPS_PORT: Type.Integer({ default: 8443, minimum: 1, maximum: 65535, description: 'HTTPS port' }),
  REGISTRY_PORT: Type.Integer({
    default: 8500,
    minimum: 1,
    maximum: 65535,
    description: 'second HTTPS port with the same routes',
  }),
  HTTP_PORT: Type.Integer({
    default: 8080,
    minimum: 1,
    maximum: 65535,
    description: 'plain HTTP port, on loopback only',
  }),
  INTERNAL_PORT: Type.Integer({
    default: 8501,
    minimum: 1,
    maximum: 65535,
    description: 'loopback port for health and metrics',
  }),
  REPLICAS: Type.Integer({ default: 1, minimum: 1, maximum: 8, description: 'processes of each service' }),
  PUBLIC_URL: Type.Optional(settings.publicUrl),
  TOKEN_SERVICE: settings.tokenService,
  ADMIN_USERNAME: Type.String({ default: 'admin', pattern: '^[a-z0-9][a-z0-9._@-]{0,254}$' }),
  ADMIN_PASSWORD: Type.Optional(Type.String({ minLength: 8, maxLength: 1024 })),
  TLS_CERTIFICATE: optional(
    'file of your own TLS certificate followed by its chain, PEM; with TLS_CERTIFICATE_KEY. ' +
      'A renewed certificate is loaded within 15 seconds',
  ),
  TLS_CERTIFICATE_KEY: optional('file of the private key of TLS_CERTIFICATE, PEM, without a passphrase'),
  DATABASE_URL: Type.Optional(settings.databaseUrl),
  DATA_DIR: Type.String({ default: './data-stack', description: 'folder of all data' }),
  SIGNING_KEYS_DIR: Type.Optional(Type.String()),
  REGISTRY_URL: Type.Optional(settings.url('URL of a registry that runs with deploy/registry/config.yml')),
  ...storageSettings,
  REGISTRY_VOLUME: optional(
    'folder of the images of REGISTRY_URL, if this machine has it; nginx sends its files, and the storage worker removes them',
  ),
  CONTENT_FROM: Type.Optional(
    Type.Enum(['volume', 'cache', 'registry'], {
      description:
        "source of blobs and manifests for nginx: volume (the registry's files), cache (its own cache) or registry",
    }),
  ),
  REGISTRY_BINARY: Type.Optional(Type.String()),
  REGISTRY_IMAGE: Type.Optional(Type.String()),
  NGINX_BINARY: Type.String({ default: 'nginx', description: 'path of nginx, 1.22 or newer' }),
  NGINX_LIBRARIES: optional('LD_LIBRARY_PATH for NGINX_BINARY'),
  POSTGRES_BINARIES: optional("folder of Postgres' commands, initdb and postgres among them"),
  POSTGRES_LIBRARIES: optional('LD_LIBRARY_PATH for POSTGRES_BINARIES'),
  ...clientLimits,
  LOG_LEVEL: { ...settings.logLevel, default: 'warn' as const },
})

export type StackConfig = ReturnType<typeof readConfig>

/** Reads the settings of the stack. Throws ConfigError that names every bad variable. */
export function readConfig(env: NodeJS.ProcessEnv) {
  const values = readEnvironment(schema, env)
  const ports = {
    https: values.HTTPS_PORT,
    registry: values.REGISTRY_PORT,
    http: values.HTTP_PORT,
    internal: values.INTERNAL_PORT,
  }
  if (new Set(Object.values(ports)).size < 4) {
    throw new ConfigError([
      'HTTPS_PORT, REGISTRY_PORT, HTTP_PORT and INTERNAL_PORT must be four different ports',
    ])
  }
  const { TLS_CERTIFICATE: certificate, TLS_CERTIFICATE_KEY: key } = values
  if ((certificate === undefined) !== (key === undefined)) {
    throw new ConfigError([
      'TLS_CERTIFICATE and TLS_CERTIFICATE_KEY must be set together, or neither of them',
    ])
  }
  const dataDir = resolve(values.DATA_DIR)
  refuseForNginx({
    DATA_DIR: dataDir,
    REGISTRY_VOLUME: values.REGISTRY_VOLUME,
    TLS_CERTIFICATE: certificate,
    TLS_CERTIFICATE_KEY: key,
  })
  if (existsSync(join(dataDir, 'database'))) {
    throw new ConfigError([
      `DATA_DIR ${dataDir} is the data folder of npm start: the stack needs another folder`,
    ])
  }
  const hasVolume = values.REGISTRY_URL === undefined || values.REGISTRY_VOLUME !== undefined
  if (values.CONTENT_FROM === 'volume' && !hasVolume) {
    throw new ConfigError(['CONTENT_FROM=volume with REGISTRY_URL requires REGISTRY_VOLUME'])
  }
  const limits = Object.keys(clientLimits).map((name) => [
    name,
    String(values[name as keyof typeof clientLimits]),
  ])
  const publicUrl = values.PUBLIC_URL ?? `https://localhost:${ports.https}`
  return {
    ...tokenNaming(publicUrl, values.TOKEN_SERVICE),
    publicUrl,
    ports,
    replicas: values.REPLICAS,
    administrator: { username: values.ADMIN_USERNAME, password: values.ADMIN_PASSWORD },
    dataDir,
    ownCertificate:
      certificate !== undefined && key !== undefined
        ? { certificate: resolve(certificate), key: resolve(key) }
        : undefined,
    databaseUrl: values.DATABASE_URL,
    signingKeysDir: resolve(values.SIGNING_KEYS_DIR ?? join(dataDir, 'signing-keys')),
    registry: {
      url: values.REGISTRY_URL,
      binary: values.REGISTRY_BINARY,
      image: values.REGISTRY_IMAGE,
      /** The folder of the images. */
      volume: resolve(values.REGISTRY_VOLUME ?? join(dataDir, 'images')),
    },
    storage: registryStorage(values, join(dataDir, 'images')),
    contentFrom: values.CONTENT_FROM ?? (hasVolume ? ('volume' as const) : ('registry' as const)),
    nginx: { binary: values.NGINX_BINARY, libraries: values.NGINX_LIBRARIES },
    clientLimits: Object.fromEntries(limits) as Readonly<Record<string, string>>,
    postgres: { folder: values.POSTGRES_BINARIES ?? '', libraries: values.POSTGRES_LIBRARIES },
    logLevel: values.LOG_LEVEL,
  }
}

/** Refuses paths with characters that nginx's configuration would interpret: it cannot quote them everywhere. */
function refuseForNginx(paths: Readonly<Record<string, string | undefined>>): void {
  const bad = Object.entries(paths).filter(
    ([, path]) => path !== undefined && !/^[\p{L}\p{N}/._@+:,=~-]+$/u.test(path),
  )
  if (bad.length === 0) return
  const problem = 'may contain only letters, digits and / . _ @ + : , = ~ - because nginx reads it'
  throw new ConfigError(bad.map(([name]) => `${name} ${problem}`))
}
