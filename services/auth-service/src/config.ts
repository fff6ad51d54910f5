import type { ListenOptions } from '@registry-manager/http'
import { listenSettings, readEnvironment, readListen, settings } from '@registry-manager/http'
import { tokenNaming } from '@registry-manager/principal'
import { Type } from 'typebox'
import type { DirectoryConfig } from './directory/config.ts'
import { directorySettings, readDirectory } from './directory/config.ts'

export const schema = Type.Object({
  ...listenSettings({ port: 8001, internalPort: 9001 }),
  PUBLIC_URL: settings.publicUrl,
  TOKEN_SERVICE: settings.tokenService,
  TOKEN_SERVICE_ALIASES: Type.Optional(
    Type.String({
      description: 'names that clients may ask for instead of TOKEN_SERVICE, separated by commas',
    }),
  ),
  TOKEN_TTL_SECONDS: Type.Integer({
    default: 300,
    minimum: 60,
    maximum: 3600,
    description: 'life of a token, 60 to 3600 seconds',
  }),
  OFFLINE_GRACE_SECONDS: Type.Integer({
    default: 900,
    minimum: 0,
    maximum: 3600,
    description: 'how long known credentials still get pull-only tokens while the database is away',
  }),
  ADMIN_USERNAME: Type.String({
    default: 'admin',
    pattern: '^[a-z0-9][a-z0-9._@-]{0,254}$',
    description: 'the first cluster administrator; used only while there is none',
  }),
  ADMIN_PASSWORD: Type.Optional(
    Type.String({
      minLength: 8,
      maxLength: 1024,
      description: 'password of the first cluster administrator; required while there is none',
    }),
  ),
  ANONYMOUS_PULL: settings.anonymousPull,
  DATABASE_URL: settings.databaseUrl,
  IMAGE_MANAGER_URL: settings.url('internal URL of image-manager, such as http://image-manager:9002'),
  SIGNING_KEYS_DIR: Type.String({ description: 'folder of the signing keys' }),
  SERVICE_CREDENTIAL: settings.serviceCredential,
  ...directorySettings,
  TRUSTED_PROXIES: settings.trustedProxies,
  LOG_LEVEL: settings.logLevel,
})

export interface AuthServiceConfig {
  /** `iss` of every token. */
  readonly issuer: string
  /** `aud` of every token. */
  readonly service: string
  /** Names under which clients may ask for the service, itself among them. */
  readonly aliases: readonly string[]
  /** PUBLIC_URL's origin: pages of no other one may send changes. */
  readonly publicOrigin: string
  readonly tokenLifeSeconds: number
  readonly offlineGraceSeconds: number
  readonly administrator: { readonly username: string; readonly password: string | undefined }
  /** Whether anybody may pull global repositories, without an account. */
  readonly anonymousPull: boolean
  readonly imageManagerUrl: string
  readonly serviceCredential: string
  /** Absent where there is none. */
  readonly directory?: DirectoryConfig
  readonly trustedProxies?: string
  readonly logLevel: string
}

/** What only `main.ts` needs: where to listen and what to open. */
export interface AuthServiceSurroundings extends ListenOptions {
  readonly databaseUrl: string
  readonly signingKeysDir: string
}

/** Reads the settings; throws ConfigError naming every bad variable. */
export function readConfig(env: NodeJS.ProcessEnv): [AuthServiceConfig, AuthServiceSurroundings] {
  const values = readEnvironment(schema, env)
  const { PUBLIC_URL, TOKEN_SERVICE, TOKEN_SERVICE_ALIASES } = values
  const directory = readDirectory(values)
  return [
    {
      ...tokenNaming(PUBLIC_URL, TOKEN_SERVICE, TOKEN_SERVICE_ALIASES),
      tokenLifeSeconds: values.TOKEN_TTL_SECONDS,
      offlineGraceSeconds: values.OFFLINE_GRACE_SECONDS,
      administrator: { username: values.ADMIN_USERNAME, password: values.ADMIN_PASSWORD },
      anonymousPull: values.ANONYMOUS_PULL,
      imageManagerUrl: values.IMAGE_MANAGER_URL,
      serviceCredential: values.SERVICE_CREDENTIAL,
      ...(directory && { directory }),
      trustedProxies: values.TRUSTED_PROXIES,
      logLevel: values.LOG_LEVEL,
    },
    {
      ...readListen(values),
      databaseUrl: values.DATABASE_URL,
      signingKeysDir: values.SIGNING_KEYS_DIR,
    },
  ]
}
