import { formatBearerChallenge } from '@registry-manager/oci'
import type { AccountFacts, Authenticator } from '@registry-manager/principal'
import { ProblemError, describeUnavailable, unavailable } from '@registry-manager/http'
import { credentialsOf } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import type { Principal } from './authorize.ts'

export interface RequirePrincipalOptions {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  /** URL of the token endpoint. */
  readonly realm: string
  readonly service: string
  readonly findAccount: (uid: string) => Promise<AccountFacts | undefined>
}

/** Authenticates a request by an access token or by Basic credentials. Throws a ProblemError if that fails. */
export async function requirePrincipal(
  options: RequirePrincipalOptions,
  request: FastifyRequest,
): Promise<Principal> {
  const { authenticator, realm, service, findAccount } = options
  const credentials = credentialsOf(request)
  const found = await authenticator.authenticate(credentials, request.ip, null)
  switch (found.outcome) {
    case 'principal': {
      // An offline token has less access than its account. A password yields an identity token at all other times.
      const isOffline =
        found.principal.offline === true || (credentials.kind === 'basic' && found.principal.access !== null)
      if (isOffline)
        throw unavailable('the token was issued while the database was unavailable; retry with a new one')
      const account = await findAccount(found.principal.uid)
      if (account !== undefined) return { account, access: found.principal.access }
      break
    }
    case 'throttled': {
      const headers = { 'retry-after': String(found.retryAfterSeconds) }
      const detail = `too many failed sign-ins; retry in ${found.retryAfterSeconds} seconds`
      throw new ProblemError({ status: 429, detail, headers })
    }
    case 'unavailable':
      throw unavailable(describeUnavailable(found.dependency))
    case 'unknown':
      throw unavailable('the revocation list has not been loaded yet; retry shortly', 1)
    case 'refused':
  }
  const headers = { 'www-authenticate': formatBearerChallenge({ realm, service }) }
  const detail = 'authentication required: send an access token or a username and password of this registry'
  throw new ProblemError({ status: 401, detail, headers })
}
