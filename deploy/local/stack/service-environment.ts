import * as authService from '@registry-manager/auth-service/config'
import * as imageManager from '@registry-manager/image-manager/config'
import * as registryProxy from '@registry-manager/registry-proxy/config'
import { keepSecret, madeSecret } from '../data-folder.ts'
import type { StackConfig } from './config.ts'

/** The function that reads the settings of each service. */
export const CONFIGS = {
  'auth-service': authService,
  'image-manager': imageManager,
  'registry-proxy': registryProxy,
}

export type ServiceName = keyof typeof CONFIGS
export const SERVICE_NAMES = Object.keys(CONFIGS) as ServiceName[]

/** One process of a service. */
export interface Replica {
  readonly service: ServiceName
  /** For example `auth-service-1`. */
  readonly name: string
  readonly port: number
  readonly internalPort: number
}

/** The addresses of the processes. */
export interface Addresses {
  readonly databaseUrl: string
  readonly authServiceUrl: string
  readonly imageManagerUrl: string
  readonly registryUrl: string
}

/** Settings that the stack gives its services, unless the operator sets them. Secrets are passed as files. */
export function madeSettings(
  { dataDir, publicUrl, signingKeysDir, logLevel }: StackConfig,
  { databaseUrl, authServiceUrl, imageManagerUrl, registryUrl }: Addresses,
  given: NodeJS.ProcessEnv,
): Record<string, string> {
  const secret = (variable: string, name: string): Record<string, string> =>
    given[variable] || given[`${variable}_FILE`]
      ? {}
      : { [`${variable}_FILE`]: madeSecret(dataDir, name).file }
  return {
    HOST: '127.0.0.1',
    PUBLIC_URL: publicUrl,
    DATABASE_URL_FILE: keepSecret(dataDir, 'database-url', databaseUrl).file,
    SIGNING_KEYS_DIR: signingKeysDir,
    AUTH_SERVICE_URL: authServiceUrl,
    IMAGE_MANAGER_URL: imageManagerUrl,
    REGISTRY_URL: registryUrl,
    ...secret('SERVICE_CREDENTIAL', 'service-credential'),
    ...secret('UPLOAD_SECRET', 'upload-secret'),
    // Only nginx connects from there.
    TRUSTED_PROXIES: '127.0.0.1',
    LOG_LEVEL: logLevel,
  }
}

/**
 * Returns the environment of a replica: the settings that its service knows. Settings of the stack win over those of
 * the operator. Throws ConfigError if the service would not start with them.
 */
export function environmentOf(
  { service, port, internalPort }: Pick<Replica, 'service' | 'port' | 'internalPort'>,
  made: Readonly<Record<string, string>>,
  given: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const { schema, readConfig } = CONFIGS[service]
  const all: NodeJS.ProcessEnv = { ...made, PORT: String(port), INTERNAL_PORT: String(internalPort) }
  const environment: NodeJS.ProcessEnv = {}
  for (const name of Object.keys(schema.properties)) {
    const from = all[name] !== undefined || all[`${name}_FILE`] !== undefined ? all : given
    for (const variable of [name, `${name}_FILE`]) {
      if (from[variable] !== undefined) environment[variable] = from[variable]
    }
  }
  readConfig(environment)
  return environment
}
