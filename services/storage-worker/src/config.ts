import { ConfigError, readEnvironment, settings } from '@registry-manager/http'
import { Type } from 'typebox'
import type { StorageConfig } from './storage/storage-settings.ts'
import { readStorage, storageSettings } from './storage/storage-settings.ts'

export { readStorage, storageSettings } from './storage/storage-settings.ts'
export type { StorageConfig } from './storage/storage-settings.ts'

export const schema = Type.Object({
  HOST: Type.String({ default: '0.0.0.0', description: 'address to listen on' }),
  INTERNAL_PORT: settings.port(
    9004,
    'port for probes, metrics and the other services; the ingress never routes to it',
  ),
  IMAGE_MANAGER_URL: settings.url('internal URL of image-manager, such as http://image-manager:9002'),
  SERVICE_CREDENTIAL: settings.serviceCredential,
  ...storageSettings,
  LOG_LEVEL: settings.logLevel,
})

export interface StorageWorkerConfig {
  readonly imageManagerUrl: string
  readonly serviceCredential: string
  readonly storage: StorageConfig
  readonly logLevel: string
}

/** Reads the settings. Throws a ConfigError that names every invalid variable. */
export function readConfig(
  env: NodeJS.ProcessEnv,
): [StorageWorkerConfig, { readonly host: string; readonly internalPort: number }] {
  const values = readEnvironment(schema, env)
  const storage = readStorage(values)
  if (storage === undefined)
    throw new ConfigError([
      "set REGISTRY_VOLUME (a folder) or REGISTRY_STORAGE_S3_BUCKET (a bucket): the registry's storage",
    ])
  return [
    {
      imageManagerUrl: values.IMAGE_MANAGER_URL,
      serviceCredential: values.SERVICE_CREDENTIAL,
      storage,
      logLevel: values.LOG_LEVEL,
    },
    { host: values.HOST, internalPort: values.INTERNAL_PORT },
  ]
}
