import { Type } from 'typebox'
import { isNetwork } from './networks.ts'
import type { ListenOptions } from './run.ts'

/** Settings that several services share. */
export const settings = {
  port,
  url: (description: string) => urlOf('^https?://[^/?#]+/?$', description),
  publicUrl: urlOf(
    '^https?://[^/?#@]+/?$',
    'URL under which clients reach the registry, such as https://registry.example.com',
  ),
  tokenService: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9._:-]+$',
      description:
        'audience of access tokens and `service` of challenges: letters, digits and . _ : - ' +
        '(default: the host[:port] of PUBLIC_URL)',
    }),
  ),
  anonymousPull: Type.Boolean({
    default: false,
    description: 'true: clients without credentials may pull global repositories',
  }),
  auditDays: Type.Integer({
    default: 365,
    minimum: 0,
    maximum: 36_500,
    description: 'days for which events of the audit log are kept; 0 keeps all',
  }),
  tagHistoryDays: Type.Integer({
    default: 365,
    minimum: 0,
    maximum: 36_500,
    description: 'days for which the history of tags is kept; 0 keeps all',
  }),
  gcInterval: Type.Integer({
    default: 60,
    minimum: 0,
    maximum: 86_400,
    description:
      'seconds between two searches for unreferenced data in the storage; 0 disables the garbage collection',
  }),
  gcGrace: Type.Integer({
    default: 86_400,
    minimum: 0,
    maximum: 31_536_000,
    description:
      'seconds for which data stays in the storage after its last reference was deleted. Content in the trash still ' +
      'counts as referenced',
  }),
  gcUnknown: Type.Enum(['report', 'remove'], {
    default: 'report',
    description:
      'report or remove: the handling of blobs that neither the index nor a link names, such as data of deletions by version 0.1',
  }),
  retentionInterval: Type.Integer({
    default: 86_400,
    minimum: 0,
    maximum: 31_536_000,
    description:
      'seconds between the starts of two runs of retention, which deletes tags and manifests by rules; 0 disables runs',
  }),
  trashDays: Type.Number({
    default: 14,
    minimum: 0,
    maximum: 36_500,
    description:
      'days for which deleted manifests and repositories can be restored, fractions allowed; 0 disables the trash',
  }),
  databaseUrl: Type.String({
    pattern: '^postgres(ql)?://',
    description: 'URL of the Postgres database, such as postgres://user@host/database',
  }),
  serviceCredential: Type.String({
    minLength: 32,
    description: 'secret that authenticates the services to each other, 32 characters or more',
  }),
  reconcileInterval: Type.Integer({
    default: 86_400,
    minimum: 0,
    maximum: 31_536_000,
    description:
      'seconds between two runs of reconcile, which updates the index from the registry; 0 disables runs, but not the recovery of interrupted pushes and deletions',
  }),
  reconcileConcurrency: Type.Integer({
    default: 8,
    minimum: 1,
    maximum: 64,
    description: 'number of requests that reconcile sends to the registry at the same time',
  }),
  trustedProxies: Type.Optional(
    Type.Refine(
      Type.String({
        description:
          'comma-separated addresses or CIDR ranges of trusted reverse proxies; ' +
          'the last X-Forwarded-For entry they send is the client’s address',
      }),
      (text) => text.split(',').every((entry) => isNetwork(entry.trim())),
      () => 'must be comma-separated addresses or CIDR ranges, such as 10.0.0.0/8',
    ),
  ),
  blobRedirects: origins(
    'comma-separated origins of the registry’s object storage, such as https://images.s3.eu-west-1.amazonaws.com; ' +
      'clients then pull layers from there by signed URLs. By default redirects of the registry are refused',
  ),
  origins,
  logLevel: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'lowest level that is logged: fatal, error, warn, info, debug, trace or silent',
  }),
}

/** The settings of every service that listens on a public and an internal port; `readListen` reads them. */
export function listenSettings(defaults: { readonly port: number; readonly internalPort: number }) {
  return {
    HOST: Type.String({ default: '0.0.0.0', description: 'address to listen on' }),
    PORT: port(defaults.port),
    INTERNAL_PORT: port(
      defaults.internalPort,
      'port for probes, metrics and the other services; the ingress never routes to it',
    ),
    SHUTDOWN_DELAY_SECONDS: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 300,
      description:
        'seconds for which a stopping service still accepts connections, until load balancers stop sending them',
    }),
    SHUTDOWN_GRACE_SECONDS: Type.Integer({
      default: 30,
      minimum: 0,
      maximum: 3600,
      description:
        'seconds for which a stopping service lets requests in progress finish, after it has closed its port',
    }),
  }
}

/** The listen options of a service, from the values of `listenSettings`. */
export function readListen(values: {
  readonly HOST: string
  readonly PORT: number
  readonly INTERNAL_PORT: number
  readonly SHUTDOWN_DELAY_SECONDS: number
  readonly SHUTDOWN_GRACE_SECONDS: number
}): ListenOptions {
  return {
    host: values.HOST,
    port: values.PORT,
    internalPort: values.INTERNAL_PORT,
    shutdownDelaySeconds: values.SHUTDOWN_DELAY_SECONDS,
    shutdownGraceSeconds: values.SHUTDOWN_GRACE_SECONDS,
  }
}

function port(fallback: number, description = 'public port') {
  return Type.Integer({ default: fallback, minimum: 0, maximum: 65535, description })
}

/** A URL setting: the pattern restricts its parts, the parser checks host and port. */
function urlOf(pattern: string, description: string) {
  return Type.Refine(
    Type.String({ pattern, description }),
    (text) => URL.canParse(text),
    () => 'is not a valid URL: its host is malformed, or its port is above 65535',
  )
}

/** Comma-separated origins; `readOrigins` reads them. */
function origins(description: string) {
  return Type.Optional(
    Type.Refine(
      Type.String({ description }),
      (text) => text.split(',').every((entry) => isOrigin(entry.trim())),
      () => 'must be comma-separated origins without a path, such as https://s3.example.com:9000',
    ),
  )
}

/** The origins of a setting, as the URL parser writes them: in lower case and without a default port. */
export function readOrigins(text = ''): readonly string[] {
  return text
    .split(',')
    .filter((entry) => entry.trim() !== '')
    .map((entry) => new URL(entry.trim()).origin)
}

/** Whether a string is scheme://host[:port] of http or https. */
function isOrigin(text: string): boolean {
  return /^https?:\/\/[^/?#@\\]+\/?$/i.test(text) && URL.canParse(text)
}
