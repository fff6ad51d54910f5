import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { PUBLIC } from '@registry-manager/http'
import { Jwks } from '@registry-manager/principal'
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
const common = { tags: ['keys'], security: PUBLIC }
const GET_KEYS = {
  ...common,
  operationId: 'getKeys',
  summary: 'Get the public keys',
  description: 'The keys that verify access tokens, as a JSON Web Key Set (RFC 7517 §5).',
  response: { 200: PublicKeys },
}
const GET_CERTIFICATE = {
  ...common,
  operationId: 'getCertificate',
  summary: "Get the authority's certificate",
  description: "PEM, for the registry's setting `rootcertbundle`.",
  response: { 200: { description: 'The certificate.', content: { [PEM]: { schema: Type.String() } } } },
}

/** The public keys (RFC 7517 §5) and the authority's certificate for the registry's `rootcertbundle`. */
export const jwksRoutes: FastifyPluginAsyncTypebox<JwksRoutesOptions> = async (app, { keys }) => {
  app.get('/.well-known/jwks.json', { schema: GET_KEYS }, async (_request, reply) =>
    reply.header('cache-control', 'public, max-age=60').send({ keys: [...keys.publicKeys()] }),
  )
  app.get('/auth/v2/certs', { schema: GET_CERTIFICATE }, async (_request, reply) =>
    reply.type(PEM).send(keys.authority()),
  )
}
