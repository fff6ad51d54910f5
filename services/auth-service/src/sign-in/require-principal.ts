import { ProblemError } from '@registry-manager/http'
import { credentialsOf, readCredentials } from '@registry-manager/principal'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Account } from '../accounts/account.ts'
import type { IdentityTokenPorts } from './identity-token.ts'
import { findIdentity } from './identity-token.ts'
import { isRegistryToken } from '../registry-tokens/registry-token.ts'
import type { SignInService } from './sign-in.ts'
import { accountOrProblem, forPeopleOnly, unauthorized } from './sign-in-problem.ts'

export interface PrincipalOptions extends IdentityTokenPorts {
  readonly realm: string
  readonly signIn: SignInService
}

const CALLER = 'principal'

/** Lets only signed-in people at a plugin's routes: by Basic credentials, or by an identity token. */
export async function requirePrincipal(app: FastifyInstance, options: PrincipalOptions): Promise<void> {
  const { realm, signIn } = options
  await readCredentials(app)
  app.decorateRequest(CALLER, null)

  const findCaller = async (request: FastifyRequest): Promise<Account> => {
    const credentials = credentialsOf(request)
    if (credentials.kind === 'basic') {
      const { username, password } = credentials
      return accountOrProblem(await signIn.withPassword(username, password, request.ip), realm)
    }
    const identity =
      credentials.kind === 'bearer' ? await findIdentity(options, credentials.token) : undefined
    if (identity === undefined) throw unauthorized(realm)
    if (isRegistryToken(identity.account)) throw forPeopleOnly()
    return identity.account
  }
  app.addHook('onRequest', async (request) => {
    request.setDecorator(CALLER, await findCaller(request))
  })
}

/** The account that asks, as `requirePrincipal` found it. */
export function principalOf(request: FastifyRequest): Account {
  return request.getDecorator<Account>(CALLER)
}

/** Throws 403 where somebody else asks. */
export function onlyAdministrators(request: FastifyRequest): void {
  if (principalOf(request).role === 'cluster-administrator') return
  throw new ProblemError({ status: 403, detail: 'this is for cluster administrators' })
}
