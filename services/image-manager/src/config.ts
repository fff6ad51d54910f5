import type { ListenOptions } from '@registry-manager/http'
import { listenSettings, readEnvironment, readListen, settings } from '@registry-manager/http'
import { tokenNaming } from '@registry-manager/principal'
import { Type } from 'typebox'
import type { CollectionOptions } from './collection/status.ts'

export const schema = Type.Object({
  ...listenSettings({ port: 8002, internalPort: 9002 }),
  PUBLIC_URL: settings.publicUrl,
  TOKEN_SERVICE: settings.tokenService,
  DATABASE_URL: settings.databaseUrl,
  AUTH_SERVICE_URL: settings.url('internal URL of auth-service, such as http://auth-service:9001'),
  REGISTRY_URL: settings.url('URL of the registry (distribution), such as http://registry:5000'),
  SERVICE_CREDENTIAL: settings.serviceCredential,
  RECONCILE_INTERVAL_SECONDS: settings.reconcileInterval,
  RECONCILE_CONCURRENCY: settings.reconcileConcurrency,
  TAG_HISTORY_DAYS: settings.tagHistoryDays,
  GC_INTERVAL_SECONDS: settings.gcInterval,
  GC_GRACE_SECONDS: settings.gcGrace,
  GC_UNKNOWN: settings.gcUnknown,
  RETENTION_INTERVAL_SECONDS: settings.retentionInterval,
  TRASH_DAYS: settings.trashDays,
  TRUSTED_PROXIES: settings.trustedProxies,
  LOG_LEVEL: settings.logLevel,
})

export interface ImageManagerConfig {
  readonly issuer: string
  readonly service: string
  /** URL of the token endpoint, for challenges. */
  readonly realm: string
  /** The origin of PUBLIC_URL. Browsers may send changes only from pages of this origin. */
  readonly publicOrigin: string
  readonly authServiceUrl: string
  readonly registryUrl: string
  readonly serviceCredential: string
  /** Seconds between two reconcile runs; 0 disables runs but not recovery; undefined disables both. */
  readonly reconcileIntervalSeconds?: number
  /**
   * Maximum number of repositories that reconcile works on at the same time, and of its concurrent requests to the
   * registry.
   */
  readonly reconcileConcurrency: number
  /** Days for which the history of tags is kept; 0 keeps all. */
  readonly tagHistoryDays: number
  readonly collection: CollectionOptions
  /** Seconds between two runs of retention; 0 disables them. */
  readonly retentionIntervalSeconds: number
  /** Days for which deleted manifests and repositories stay in the trash; 0 disables the trash. */
  readonly trashDays: number
  readonly trustedProxies?: string
  readonly logLevel: string
}

/** Settings that only the entry points need: the address to listen on, and the database. */
export interface ImageManagerProcess extends ListenOptions {
  readonly databaseUrl: string
}

/** Reads the settings. Throws a ConfigError that names every invalid variable. */
export function readConfig(env: NodeJS.ProcessEnv): [ImageManagerConfig, ImageManagerProcess] {
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
      reconcileConcurrency: values.RECONCILE_CONCURRENCY,
      tagHistoryDays: values.TAG_HISTORY_DAYS,
      collection: {
        intervalSeconds: values.GC_INTERVAL_SECONDS,
        graceSeconds: values.GC_GRACE_SECONDS,
        unknown: values.GC_UNKNOWN,
      },
      retentionIntervalSeconds: values.RETENTION_INTERVAL_SECONDS,
      trashDays: values.TRASH_DAYS,
      trustedProxies: values.TRUSTED_PROXIES,
      logLevel: values.LOG_LEVEL,
    },
    {
      ...readListen(values),
      databaseUrl: values.DATABASE_URL,
    },
  ]
}
