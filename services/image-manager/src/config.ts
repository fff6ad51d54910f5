import type { ListenOptions } from '@registry-manager/http'
import { listenSettings, readEnvironment, readListen, settings } from '@registry-manager/http'
import { tokenNaming } from '@registry-manager/principal'
import { Type } from 'typebox'

export const schema = Type.Object({
  ...listenSettings({ port: 8002, internalPort: 9002 }),
  PUBLIC_URL: settings.publicUrl,
  TOKEN_SERVICE: settings.tokenService,
  DATABASE_URL: settings.databaseUrl,
  AUTH_SERVICE_URL: settings.url('internal URL of auth-service, such as http://auth-service:9001'),
  REGISTRY_URL: settings.url('URL of the registry behind, such as http://registry:5000'),
  SERVICE_CREDENTIAL: settings.serviceCredential,
  RECONCILE_INTERVAL_SECONDS: settings.reconcileInterval,
  TRUSTED_PROXIES: settings.trustedProxies,
  LOG_LEVEL: settings.logLevel,
})

export interface ImageManagerConfig {
  readonly issuer: string
  readonly service: string
  /** URL of the token endpoint, for challenges. */
  readonly realm: string
  /** PUBLIC_URL's origin: pages of no other one may send changes. */
  readonly publicOrigin: string
  readonly authServiceUrl: string
  readonly registryUrl: string
  readonly serviceCredential: string
  /** Seconds between two runs of reconcile, 0 for none; undefined when nothing at all is done by itself. */
  readonly reconcileIntervalSeconds?: number
  readonly trustedProxies?: string
  readonly logLevel: string
}

/** What only `main.ts` needs: where to listen and what to open. */
export interface ImageManagerSurroundings extends ListenOptions {
  readonly databaseUrl: string
}

/** Reads the settings; throws ConfigError naming every bad variable. */
export function readConfig(env: NodeJS.ProcessEnv): [ImageManagerConfig, ImageManagerSurroundings] {
  const values = readEnvironment(schema, env)
  const { issuer, service, realm, publicOrigin } = tokenNaming(values.PUBLIC_URL, values.TOKEN_SERVICE)
  return [
    {
      issuer,
      service,
      realm,
      publicOrigin,
      authServiceUrl: values.AUTH_SERVICE_URL,
      registryUrl: values.REGISTRY_URL,
      serviceCredential: values.SERVICE_CREDENTIAL,
      reconcileIntervalSeconds: values.RECONCILE_INTERVAL_SECONDS,
      trustedProxies: values.TRUSTED_PROXIES,
      logLevel: values.LOG_LEVEL,
    },
    {
      ...readListen(values),
      databaseUrl: values.DATABASE_URL,
    },
  ]
}
