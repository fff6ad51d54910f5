import type { ListenOptions } from '@registry-manager/http'
import { listenSettings, readEnvironment, readListen, readOrigins, settings } from '@registry-manager/http'
import { tokenNaming } from '@registry-manager/principal'
import { Type } from 'typebox'

export const schema = Type.Object({
  ...listenSettings({ port: 8003, internalPort: 9003 }),
  PUBLIC_URL: settings.publicUrl,
  TOKEN_SERVICE: settings.tokenService,
  AUTH_SERVICE_URL: settings.url('internal URL of auth-service, such as http://auth-service:9001'),
  IMAGE_MANAGER_URL: settings.url('internal URL of image-manager, such as http://image-manager:9002'),
  REGISTRY_URL: settings.url('URL of the registry (distribution), such as http://registry:5000'),
  REGISTRY_VOLUME: Type.Optional(
    Type.String({
      description:
        'folder of the registry that contains docker/registry/v2. registry-proxy sends content from it (not needed if ' +
        'nginx does); the storage worker removes data from it; `npm run stack` and `npm start` need it only with ' +
        'REGISTRY_URL',
    }),
  ),
  BLOB_REDIRECTS: settings.blobRedirects,
  UPLOAD_SECRET: Type.String({
    minLength: 32,
    description: 'secret that binds uploads to accounts: 32 characters or more, the same on every replica',
  }),
  SERVICE_CREDENTIAL: settings.serviceCredential,
  TRUSTED_PROXIES: settings.trustedProxies,
  LOG_LEVEL: settings.logLevel,
})

export interface RegistryProxyConfig {
  readonly issuer: string
  readonly service: string
  /** URL of the token endpoint, for challenges. */
  readonly realm: string
  /** The origin of PUBLIC_URL. Pages of other origins may not send changes. */
  readonly publicOrigin: string
  readonly authServiceUrl: string
  readonly imageManagerUrl: string
  readonly registryUrl: string
  readonly registryVolume?: string
  /** Origins that the registry may redirect clients to. */
  readonly storageOrigins?: readonly string[]
  readonly uploadSecret: string
  readonly serviceCredential: string
  readonly trustedProxies?: string
  readonly logLevel: string
}

/** Reads the settings. Throws a ConfigError that names every invalid variable. */
export function readConfig(env: NodeJS.ProcessEnv): [RegistryProxyConfig, ListenOptions] {
  const values = readEnvironment(schema, env)
  const { issuer, service, realm, publicOrigin } = tokenNaming(values.PUBLIC_URL, values.TOKEN_SERVICE)
  return [
    {
      issuer,
      service,
      realm,
      publicOrigin,
      authServiceUrl: values.AUTH_SERVICE_URL,
      imageManagerUrl: values.IMAGE_MANAGER_URL,
      registryUrl: values.REGISTRY_URL,
      registryVolume: values.REGISTRY_VOLUME,
      storageOrigins: readOrigins(values.BLOB_REDIRECTS),
      uploadSecret: values.UPLOAD_SECRET,
      serviceCredential: values.SERVICE_CREDENTIAL,
      trustedProxies: values.TRUSTED_PROXIES,
      logLevel: values.LOG_LEVEL,
    },
    readListen(values),
  ]
}
