import type { FastifyInstance } from 'fastify'

/**
 * Has no cache keep what the routes of `app` answer, errors included: it is about one account, and may hold a secret.
 * Source: RFC 9111 §5.2.2.5.
 */
export function neverStored(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
}
