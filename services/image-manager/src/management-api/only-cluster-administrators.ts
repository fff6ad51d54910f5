import { ProblemError } from '@registry-manager/http'
import { mayManageNamespace } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import { rightsOf } from './require-principal.ts'

/**
 * A hook for routes after `requirePrincipal`. Throws 403 unless the principal is a cluster administrator with all
 * rights of the account: no other token, no personal token with scopes, and every condition holds.
 */
export async function onlyClusterAdministrators(request: FastifyRequest): Promise<void> {
  const { rights, access, context } = rightsOf(request)
  const isAdministrator = 'role' in rights && rights.role === 'cluster-administrator'
  if (!isAdministrator || !mayManageNamespace(rights, '*', context))
    throw new ProblemError({ status: 403, detail: 'this request requires a cluster administrator' })
  if (access === null) return
  const detail = 'this request needs a password, or an identity token (requested without a scope)'
  throw new ProblemError({ status: 403, detail })
}
