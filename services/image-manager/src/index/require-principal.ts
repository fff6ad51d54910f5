import { formatBearerChallenge } from '@registry-manager/oci'
import type { AccountFacts, Authenticator } from '@registry-manager/principal'
import { ProblemError, describeUnavailable, unavailable } from '@registry-manager/http'
import { credentialsOf } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import type { Requester } from './visibility.ts'

export interface RequesterOptions {
  readonly authenticator: Authenticator
  readonly realm: string
  readonly service: string
  readonly findAccount: (uid: string) => Promise<AccountFacts | undefined>
}

/** Finds out who asks: by any live token of ours, or by Basic credentials. Throws the problem that it meets. */
export async function findRequester(options: RequesterOptions, request: FastifyRequest): Promise<Requester> {
  const { authenticator, realm, service, findAccount } = options
  const credentials = credentialsOf(request)
  const found = await authenticator.authenticate(credentials, request.ip, null)
  switch (found.outcome) {
    case 'principal': {
      // Such a token carries less than its account may do. A password yields an identity token at all other times.
      if (
        found.principal.offline === true ||
        (credentials.kind === 'basic' && found.principal.access !== null)
      )
        throw unavailable('the token was issued while the database was unavailable; retry with a new one')
      const account = await findAccount(found.principal.uid)
      if (account !== undefined) return { account, access: found.principal.access }
      break
    }
    case 'throttled': {
      const headers = { 'retry-after': String(found.retryAfterSeconds) }
      throw new ProblemError({ status: 429, detail: 'too many failed sign-ins: try again later', headers })
    }
    case 'unavailable':
      throw unavailable(describeUnavailable(found.dependency))
    case 'unknown':
      throw unavailable('it is not known which tokens are revoked', 1)
    case 'refused':
  }
  const headers = { 'www-authenticate': formatBearerChallenge({ realm, service }) }
  throw new ProblemError({ status: 401, detail: 'a token or a password of this registry is needed', headers })
}
