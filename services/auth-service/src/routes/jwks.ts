import type { FastifyInstance } from 'fastify'
import type { SigningKeys } from '../adapters/signing-keys.ts'

/** Public keys (RFC 7517 §5) and the authority's certificate for the registry's `rootcertbundle`. */
export async function jwks(app: FastifyInstance, { keys }: { keys: SigningKeys }): Promise<void> {
  app.get('/.well-known/jwks.json', async (_request, reply) =>
    reply.header('cache-control', 'public, max-age=60').send({ keys: keys.publicKeys() }),
  )
  app.get('/auth/v2/certs', async (_request, reply) =>
    reply.type('application/x-pem-file').send(keys.authority()),
  )
}
