import type { FastifyInstance } from 'fastify'

/**
 * Keeps the responses of the routes of `app` out of caches, errors included: they are about one account and may contain
 * a secret. Source: RFC 9111 §5.2.2.5.
 */
export function forbidCaching(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
}
