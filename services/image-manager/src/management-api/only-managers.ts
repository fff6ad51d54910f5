import { ProblemError, pathParameter } from '@registry-manager/http'
import { describeManagement, mayManageNamespace } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import { onlyClusterAdministrators } from './only-cluster-administrators.ts'
import { rightsOf } from './require-principal.ts'

/** The name of all namespaces together. */
const ALL = '*'

/**
 * A hook for routes with the parameter `namespace`, after `requirePrincipal`. Throws 403 unless the principal manages
 * the namespace; `*` requires a cluster administrator. The response is the same for every other namespace, whether it
 * exists or not.
 */
export async function onlyManagers(request: FastifyRequest): Promise<void> {
  const namespace = pathParameter(request, 'namespace')
  if (namespace === ALL) return onlyClusterAdministrators(request)
  const { rights, access, context } = rightsOf(request)
  if (!mayManageNamespace(rights, namespace, context)) {
    throw new ProblemError({ status: 403, detail: describeManagement(namespace) })
  }
  // The access of other tokens is limited to repositories.
  if (access === null) return
  const detail = `managing ${namespace} needs a password, or an identity token (requested without a scope)`
  throw new ProblemError({ status: 403, detail })
}
