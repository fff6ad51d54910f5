import basicAuth from '@fastify/basic-auth'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** The content of an Authorization header. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }

/** Source: RFC 6750 §2.1, `b64token`. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i
const BASIC = /^basic /i
const CREDENTIALS = 'credentials'

/**
 * Parses the Authorization header of every request of a plugin tree, in an `onRequest` hook. Verifies nothing:
 * `credentialsOf` returns the content of the header. docs/decisions/0024 explains why @fastify/basic-auth only parses.
 * Source: RFC 7617 §2, Basic; RFC 6750 §2.1, Bearer.
 */
export async function readCredentials(app: FastifyInstance): Promise<void> {
  app.decorateRequest(CREDENTIALS, null)
  await app.register(basicAuth, {
    validate: async (username: string, password: string, request: FastifyRequest) => {
      request.setDecorator(CREDENTIALS, { kind: 'basic', username, password })
    },
  })
  app.addHook('onRequest', async (request, reply) => {
    const header = request.headers.authorization
    if (header !== undefined && BASIC.test(header)) {
      if (!(await isBasic(app, request, reply))) request.setDecorator(CREDENTIALS, { kind: 'malformed' })
      return
    }
    request.setDecorator(CREDENTIALS, bearerOrNone(header))
  })
}

/** Returns the credentials that `readCredentials` parsed. */
export function credentialsOf(request: FastifyRequest): Credentials {
  return request.getDecorator<Credentials>(CREDENTIALS)
}

function bearerOrNone(header: string | undefined): Credentials {
  if (header === undefined) return { kind: 'none' }
  const token = BEARER.exec(header)?.[1]
  return token === undefined ? { kind: 'malformed' } : { kind: 'bearer', token }
}

function isBasic(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
  return new Promise((resolve) => app.basicAuth(request, reply, (error) => resolve(error === undefined)))
}
