import type { ListenOptions } from '@registry-manager/http'
import { listenSettings, readEnvironment, readListen, settings } from '@registry-manager/http'
import { tokenNaming } from '@registry-manager/principal'
import { Type } from 'typebox'
import type { DirectoryConfig } from './directory/config.ts'
import { directorySettings, readDirectory } from './directory/config.ts'
import type { FederationConfig } from './federation/config.ts'
import { federationSettings, readFederation } from './federation/config.ts'
import type { OidcProvider } from './oidc/config.ts'
import { oidcSettings, readOidcProviders } from './oidc/config.ts'

export const schema = Type.Object({
  ...listenSettings({ port: 8001, internalPort: 9001 }),
  PUBLIC_URL: settings.publicUrl,
  TOKEN_SERVICE: settings.tokenService,
  TOKEN_SERVICE_ALIASES: Type.Optional(
    Type.String({
      description: 'comma-separated names that clients may request instead of TOKEN_SERVICE',
    }),
  ),
  TOKEN_TTL_SECONDS: Type.Integer({
    default: 300,
    minimum: 60,
    maximum: 3600,
    description: 'life of an access token in seconds, 60 to 3600',
  }),
  OFFLINE_GRACE_SECONDS: Type.Integer({
    default: 900,
    minimum: 0,
    maximum: 3600,
    description:
      'seconds for which cached credentials still get access tokens, for pulls only, while the database is unavailable',
  }),
  ADMIN_USERNAME: Type.String({
    default: 'admin',
    pattern: '^[a-z0-9][a-z0-9._@-]{0,254}$',
    description: 'username of the first cluster administrator; ignored once there is one',
  }),
  ADMIN_PASSWORD: Type.Optional(
    Type.String({
      minLength: 8,
      maxLength: 1024,
      description: 'password of the first cluster administrator; required until there is one',
    }),
  ),
  ANONYMOUS_PULL: settings.anonymousPull,
  AUDIT_DAYS: settings.auditDays,
  DATABASE_URL: settings.databaseUrl,
  IMAGE_MANAGER_URL: settings.url('internal URL of image-manager, such as http://image-manager:9002'),
  SIGNING_KEYS_DIR: Type.String({ description: 'folder of the keys that sign access tokens' }),
  SERVICE_CREDENTIAL: settings.serviceCredential,
  ...directorySettings,
  ...federationSettings,
  ...oidcSettings,
  TRUSTED_PROXIES: settings.trustedProxies,
  LOG_LEVEL: settings.logLevel,
})

export interface AuthServiceConfig {
  /** `iss` of every access token. */
  readonly issuer: string
  /** `aud` of every access token. */
  readonly service: string
  /** Names by which clients may request the service, TOKEN_SERVICE included. */
  readonly aliases: readonly string[]
  /** PUBLIC_URL's origin: the only one whose pages may send changes. */
  readonly publicOrigin: string
  readonly accessTokenLifeSeconds: number
  readonly offlineGraceSeconds: number
  readonly administrator: { readonly username: string; readonly password: string | undefined }
  /** Whether clients without credentials may pull global repositories. */
  readonly anonymousPull: boolean
  /** Days for which events are kept; 0 keeps all. */
  readonly auditDays: number
  readonly imageManagerUrl: string
  readonly serviceCredential: string
  /** Absent if no directory is configured. */
  readonly directory?: DirectoryConfig
  readonly federation: FederationConfig
  /** OpenID Connect providers at which people sign in; none when left out. */
  readonly oidcProviders?: readonly OidcProvider[]
  readonly trustedProxies?: string
  readonly logLevel: string
}

/** Settings that only `main.ts` needs: ports, database and signing keys. */
export interface AuthServiceProcess extends ListenOptions {
  readonly databaseUrl: string
  readonly signingKeysDir: string
}

/** Reads the settings. The ConfigError of bad settings names all of them. */
export function readConfig(env: NodeJS.ProcessEnv): [AuthServiceConfig, AuthServiceProcess] {
  const values = readEnvironment(schema, env)
  const { PUBLIC_URL, TOKEN_SERVICE, TOKEN_SERVICE_ALIASES } = values
  const directory = readDirectory(values)
  return [
    {
      ...tokenNaming(PUBLIC_URL, TOKEN_SERVICE, TOKEN_SERVICE_ALIASES),
      accessTokenLifeSeconds: values.TOKEN_TTL_SECONDS,
      offlineGraceSeconds: values.OFFLINE_GRACE_SECONDS,
      administrator: { username: values.ADMIN_USERNAME, password: values.ADMIN_PASSWORD },
      anonymousPull: values.ANONYMOUS_PULL,
      auditDays: values.AUDIT_DAYS,
      imageManagerUrl: values.IMAGE_MANAGER_URL,
      serviceCredential: values.SERVICE_CREDENTIAL,
      ...(directory && { directory }),
      federation: readFederation(values),
      oidcProviders: readOidcProviders(values),
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
