import { readFileSync } from 'node:fs'
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import type { OpenAPIV3_1 } from 'openapi-types'
import { keepOperationId, nameWildcard } from './operation-names.ts'
import { PAGE_FILES, referencePage } from './reference-page.ts'
import { createStaticBody } from './static-body.ts'

export interface ApiDocsOptions {
  /** The last segment of the page's path: `/docs/NAME`. The document is at `/docs/NAME/json`. */
  readonly name: 'auth' | 'images' | 'registry'
  readonly title: string
  /** In Markdown, as OpenAPI's descriptions are. */
  readonly description: string
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  /** Operations that are described here and not by the schemas of routes. */
  readonly paths?: OpenAPIV3_1.PathsObject
}

/** The version of this package, which all packages and services share. */
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  readonly version: string
}

const SECURITY_SCHEMES = {
  basic: {
    type: 'http',
    scheme: 'basic',
    description: 'Username and password of a user, or name and password of a registry token.',
  },
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token, from the token endpoint `/auth/v2/token`.',
  },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-registry-manager-session',
    description:
      'A browser session, which begins at `/sign-in`. Changes also need the header `X-CSRF-Token` with the CSRF token ' +
      'that `GET /sign-in/session` returns.',
  },
} as const

type SecurityRequirements = OpenAPIV3_1.SecurityRequirementObject[]

/** A value for `security` of a route's schema: clients may use Basic or Bearer. */
export const BASIC_OR_BEARER: SecurityRequirements = [{ basic: [] }, { bearer: [] }]
/** Clients may use Basic or Bearer, and pages a browser session. */
export const BASIC_BEARER_OR_SESSION: SecurityRequirements = [...BASIC_OR_BEARER, { session: [] }]
/** Only our pages use the operation, with a browser session. */
export const ONLY_SESSION: SecurityRequirements = [{ session: [] }]
/** Clients need no credentials. */
export const PUBLIC: SecurityRequirements = []

/** A browser asks again after five minutes, so that it shows the new documents soon after an upgrade. */
const REVALIDATED = { 'cache-control': 'public, max-age=300' }
/** The names of these files contain their version. */
const IMMUTABLE = { 'cache-control': 'public, max-age=31536000, immutable' }

/**
 * Nothing from another host, and only scripts and styles from files. Source: Content Security Policy Level 3.
 */
const CONTENT_SECURITY_POLICY = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
}

/**
 * Serves the OpenAPI 3.1 document of the routes that are registered on `app` afterwards, and a page that shows it. Both
 * are public, and the page needs nothing from another host. The document is built at its first request.
 */
export async function registerApiDocs(app: FastifyInstance, options: ApiDocsOptions): Promise<void> {
  const { name, title, description, publicOrigin, tags, paths } = options
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title, version, description, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
      servers: [{ url: publicOrigin }],
      tags: [...tags],
      components: { securitySchemes: SECURITY_SCHEMES },
      ...(paths && { paths }),
    },
    // Routes without tags are for no client: the pages below, and wildcards that `paths` describes.
    hideUntagged: true,
    transform: ({ schema, url }) => nameWildcard(keepOperationId(schema), url),
  })

  const path = `/docs/${name}`
  const document = `${path}/json`
  const hidden = { exposeHeadRoute: true, schema: { hide: true } }

  const html = referencePage({ title, path, document })
  const sendPage = createStaticBody('text/html; charset=utf-8', async () => html)
  app.get(path, hidden, (request, reply) =>
    sendPage(request, reply.headers({ ...CONTENT_SECURITY_POLICY, ...REVALIDATED })),
  )

  const sendDocument = createStaticBody('application/json', async () => JSON.stringify(app.swagger()))
  app.get(document, hidden, (request, reply) => sendDocument(request, reply.headers(REVALIDATED)))

  for (const { name: file, type, read } of Object.values(PAGE_FILES)) {
    const sendFile = createStaticBody(type, read)
    app.get(`${path}/${file}`, hidden, (request, reply) => sendFile(request, reply.headers(IMMUTABLE)))
  }
}
