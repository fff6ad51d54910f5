import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { SigningKeys } from './signing-keys.ts'

/** What is told of a key; nothing else of it, least of all its private part, ever gets out. */
export const PublicKeys = Type.Object({
  keys: Type.Array(
    Type.Object({
      kid: Type.String(),
      kty: Type.Literal('EC'),
      crv: Type.Literal('P-256'),
      x: Type.String(),
      y: Type.String(),
      alg: Type.Literal('ES256'),
      use: Type.Literal('sig'),
    }),
  ),
})
const PEM = 'application/x-pem-file'
const Certificate = { content: { [PEM]: { schema: Type.String() } } }

/** Public keys (RFC 7517 §5) and the authority's certificate for the registry's `rootcertbundle`. */
export async function jwks(app: FastifyInstance, { keys }: { keys: SigningKeys }): Promise<void> {
  app.get(
    '/.well-known/jwks.json',
    { schema: { response: { 200: PublicKeys } } },
    async (_request, reply) => {
      const body: Static<typeof PublicKeys> = { keys: [...keys.publicKeys()] }
      return reply.header('cache-control', 'public, max-age=60').send(body)
    },
  )
  app.get('/auth/v2/certs', { schema: { response: { 200: Certificate } } }, async (_request, reply) =>
    reply.type(PEM).send(keys.authority()),
  )
}
