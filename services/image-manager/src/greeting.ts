import type { FastifyInstance } from 'fastify'

const ROUTES = [
  'GET /',
  'GET /image-manager/api/v1',
  'GET /image-manager/api/v1/auth/token',
  'GET /image-manager/api/v1/repositories',
  'GET /image-manager/api/v1/repositories/{repo:.*}',
  'PUT /image-manager/api/v1/repositories/{repo:.*}',
  'DELETE /image-manager/api/v1/repositories/{repo:.*}',
]

/** The list of endpoints, without authentication. Source: seed 001, "List endpoints". */
export async function greeting(app: FastifyInstance): Promise<void> {
  const text = `Welcome to the image manager of registry-manager.\n${ROUTES.join('\n')}\n`
  for (const path of ['/', '/image-manager/api/v1']) {
    // Monitors send HEAD. Source: RFC 9110 §9.1.
    app.get(path, { exposeHeadRoute: true }, async (_request, reply) => reply.type('text/plain').send(text))
  }
}
