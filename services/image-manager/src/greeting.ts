import type { FastifyInstance } from 'fastify'
import { PUBLIC } from '@registry-manager/http'
import { Type } from 'typebox'

/** The endpoints of seed 001. */
const MOST_USED = [
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
  summary: 'List the most used endpoints',
  response: {
    200: {
      description: 'A greeting, the most used endpoints, and the path of the documentation of all endpoints.',
      content: { 'text/plain': { schema: Type.String() } },
    },
  },
}
const PATHS = [
  ['getGreeting', '/'],
  ['getApiGreeting', '/image-manager/api/v1'],
] as const

/** The list of the most used endpoints, without authentication. Source: seed 001, "List endpoints". */
export async function greeting(app: FastifyInstance): Promise<void> {
  const lines = [
    'Welcome to the image manager of registry-manager. The most used endpoints:',
    ...MOST_USED,
    'All endpoints: /docs/images',
  ]
  const text = `${lines.join('\n')}\n`
  for (const [operationId, path] of PATHS) {
    const schema = { ...GREETING, operationId }
    // Monitors send HEAD. Source: RFC 9110 §9.1.
    app.get(path, { exposeHeadRoute: true, schema }, async (_request, reply) =>
      reply.type('text/plain').send(text),
    )
  }
}
