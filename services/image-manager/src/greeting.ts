import type { FastifyInstance } from 'fastify'
import { PUBLIC } from '@registry-manager/http'
import { Type } from 'typebox'

const ROUTES = [
  'GET /',
  'GET /image-manager/api/v1',
  'GET /image-manager/api/v1/auth/token',
  'GET /image-manager/api/v1/repositories',
  'GET /image-manager/api/v1/repositories/{repo:.*}',
  'PUT /image-manager/api/v1/repositories/{repo:.*}',
  'DELETE /image-manager/api/v1/repositories/{repo:.*}',
]

const GREETING = {
  tags: ['greeting'],
  security: PUBLIC,
  summary: 'List the endpoints',
  response: {
    200: {
      description: 'A greeting, and one line for each endpoint.',
      content: { 'text/plain': { schema: Type.String() } },
    },
  },
}
const PATHS = [
  ['getGreeting', '/'],
  ['getApiGreeting', '/image-manager/api/v1'],
] as const

/** The list of endpoints, without authentication. Source: seed 001, "List endpoints". */
export async function greeting(app: FastifyInstance): Promise<void> {
  const text = `Welcome to the image manager of registry-manager.\n${ROUTES.join('\n')}\n`
  for (const [operationId, path] of PATHS) {
    const schema = { ...GREETING, operationId }
    // Monitors send HEAD. Source: RFC 9110 §9.1.
    app.get(path, { exposeHeadRoute: true, schema }, async (_request, reply) =>
      reply.type('text/plain').send(text),
    )
  }
}
