import { Jwks } from '@registry-manager/principal'
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { PublicJwk } from './signing-keys.ts'

/** The response schema drops every other field of a key: a private part must never be sent. */
export const PublicKeys = Type.Object({
  keys: Type.Array(
    Type.Object({
      ...Jwks.properties.keys.items.properties,
      alg: Type.Literal('ES256'),
      use: Type.Literal('sig'),
    }),
  ),
})

export interface JwksRoutesOptions {
  readonly keys: {
    publicKeys(): readonly PublicJwk[]
    /** PEM. */
    authority(): string
  }
}

const PEM = 'application/x-pem-file'
const Certificate = { content: { [PEM]: { schema: Type.String() } } }

/** The public keys (RFC 7517 §5) and the authority's certificate for the registry's `rootcertbundle`. */
export async function jwksRoutes(app: FastifyInstance, { keys }: JwksRoutesOptions): Promise<void> {
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
