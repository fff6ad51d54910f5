import { join, resolve } from 'node:path'
import {
  directorySettings,
  federationSettings,
  oidcSettings,
  readDirectory,
  readFederation,
  readOidcProviders,
} from '@registry-manager/auth-service/embedding'
import { readEnvironment, readOrigins, settings } from '@registry-manager/http'
import { tokenNaming } from '@registry-manager/principal'
import { storageSettings } from '@registry-manager/storage-worker/config'
import { Type } from 'typebox'
import { registryStorage } from './registry-storage.ts'

export const schema = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'address to listen on' }),
  PORT: settings.port(8500),
  INTERNAL_PORT: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 65535,
      description: 'loopback port for health and metrics',
    }),
  ),
  PUBLIC_URL: Type.Optional(settings.publicUrl),
  TOKEN_SERVICE: settings.tokenService,
  TOKEN_SERVICE_ALIASES: Type.Optional(Type.String()),
  TOKEN_TTL_SECONDS: Type.Integer({ default: 300, minimum: 60, maximum: 3600 }),
  OFFLINE_GRACE_SECONDS: Type.Integer({ default: 900, minimum: 0, maximum: 3600 }),
  ADMIN_USERNAME: Type.String({ default: 'admin', pattern: '^[a-z0-9][a-z0-9._@-]{0,254}$' }),
  ADMIN_PASSWORD: Type.Optional(Type.String({ minLength: 8, maxLength: 1024 })),
  ANONYMOUS_PULL: settings.anonymousPull,
  AUDIT_DAYS: settings.auditDays,
  DATABASE_URL: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
  DATA_DIR: Type.String({ default: './data', description: 'folder of all data' }),
  SIGNING_KEYS_DIR: Type.Optional(Type.String()),
  SERVICE_CREDENTIAL: Type.Optional(settings.serviceCredential),
  UPLOAD_SECRET: Type.Optional(Type.String({ minLength: 32 })),
  REGISTRY_URL: Type.Optional(settings.url('URL of a registry that runs with deploy/registry/config.yml')),
  ...storageSettings,
  BLOB_REDIRECTS: settings.blobRedirects,
  REGISTRY_BINARY: Type.Optional(Type.String({ description: "path of distribution's binary" })),
  REGISTRY_IMAGE: Type.Optional(
    Type.String({ description: 'image of the registry, for a Docker engine, on machines without a binary' }),
  ),
  RECONCILE_INTERVAL_SECONDS: settings.reconcileInterval,
  RECONCILE_CONCURRENCY: settings.reconcileConcurrency,
  TAG_HISTORY_DAYS: settings.tagHistoryDays,
  GC_INTERVAL_SECONDS: settings.gcInterval,
  GC_GRACE_SECONDS: settings.gcGrace,
  GC_UNKNOWN: settings.gcUnknown,
  RETENTION_INTERVAL_SECONDS: settings.retentionInterval,
  TRASH_DAYS: settings.trashDays,
  ...directorySettings,
  ...federationSettings,
  ...oidcSettings,
  LOG_LEVEL: { ...settings.logLevel, default: 'warn' as const },
})

export type EmbeddedConfig = ReturnType<typeof readConfig>

/** Reads the settings of the embedded mode. Throws ConfigError that names every bad variable. */
export function readConfig(env: NodeJS.ProcessEnv) {
  const values = readEnvironment(schema, env)
  const directory = readDirectory(values)
  const publicUrl = values.PUBLIC_URL ?? `http://localhost:${values.PORT}`
  const dataDir = resolve(values.DATA_DIR)
  return {
    ...tokenNaming(publicUrl, values.TOKEN_SERVICE, values.TOKEN_SERVICE_ALIASES),
    publicUrl,
    host: values.HOST,
    port: values.PORT,
    internalPort: values.INTERNAL_PORT ?? (values.PORT === 0 ? 0 : (values.PORT % 65_535) + 1),
    accessTokenLifeSeconds: values.TOKEN_TTL_SECONDS,
    offlineGraceSeconds: values.OFFLINE_GRACE_SECONDS,
    administrator: { username: values.ADMIN_USERNAME, password: values.ADMIN_PASSWORD },
    anonymousPull: values.ANONYMOUS_PULL,
    auditDays: values.AUDIT_DAYS,
    databaseUrl: values.DATABASE_URL,
    dataDir,
    signingKeysDir: values.SIGNING_KEYS_DIR,
    serviceCredential: values.SERVICE_CREDENTIAL,
    uploadSecret: values.UPLOAD_SECRET,
    registry: { url: values.REGISTRY_URL, binary: values.REGISTRY_BINARY, image: values.REGISTRY_IMAGE },
    storage: registryStorage(values, join(dataDir, 'images')),
    storageOrigins: readOrigins(values.BLOB_REDIRECTS),
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
    ...(directory && { directory }),
    federation: readFederation(values),
    oidcProviders: readOidcProviders(values),
    logLevel: values.LOG_LEVEL,
  }
}
