import * as authService from '@registry-manager/auth-service/config'
import * as imageManager from '@registry-manager/image-manager/config'
import * as registryProxy from '@registry-manager/registry-proxy/config'
import * as storageWorker from '@registry-manager/storage-worker/config'
import { keepSecret, madeSecret } from '../data-folder.ts'
import type { StackConfig } from './config.ts'

/** The functions that read the settings of our processes. */
export const CONFIGS = {
  'auth-service': authService,
  'image-manager': imageManager,
  'registry-proxy': registryProxy,
  'storage-worker': storageWorker,
}

export type ProgramName = keyof typeof CONFIGS
/** A service with a public port, of which any number of processes may run. */
export type ServiceName = Exclude<ProgramName, 'storage-worker'>
export const SERVICE_NAMES: readonly ServiceName[] = ['auth-service', 'image-manager', 'registry-proxy']

/** One of our processes. */
export interface Program {
  readonly service: ProgramName
  /** For example `auth-service-1`. */
  readonly name: string
  /** Undefined for the storage worker. */
  readonly port?: number
  readonly internalPort: number
  /** Settings that the stack gives this process only. */
  readonly settings?: Readonly<Record<string, string>>
}

/** One process of a service. */
export interface Replica extends Program {
  readonly service: ServiceName
  readonly port: number
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
 * Returns the environment of a process: the settings that its service knows. Settings of the stack win over those of
 * the operator. Throws ConfigError if the service would not start with them.
 */
export function environmentOf(
  { service, port, internalPort, settings }: Omit<Program, 'name'>,
  made: Readonly<Record<string, string>>,
  given: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const { schema, readConfig } = CONFIGS[service]
  const ports = { ...(port !== undefined && { PORT: String(port) }), INTERNAL_PORT: String(internalPort) }
  const all: NodeJS.ProcessEnv = { ...made, ...ports, ...settings }
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
