import type { Access, RegistryRequest } from '@registry-manager/oci'
import { formatBearerChallenge, repositoryAccess } from '@registry-manager/oci'

/** The access that a principal needs for a request: reading is `pull`, writing `push`, deleting `delete`. */
export function requiredAccess(request: RegistryRequest): Access[] {
  switch (request.kind) {
    case 'base':
      return []
    case 'catalog':
      return [{ type: 'registry', name: 'catalog', actions: ['*'] }]
    case 'tags':
    case 'referrers':
      return [repositoryAccess(request.repository, 'pull')]
    case 'manifest':
    case 'blob':
      return [repositoryAccess(request.repository, actionOf(request.method))]
    case 'upload-start':
      return [repositoryAccess(request.repository, 'push')]
    case 'upload':
      // Canceling an own upload removes nothing that anybody could pull: it needs only what starting an upload needs.
      return [repositoryAccess(request.repository, actionOf(request.method) === 'pull' ? 'pull' : 'push')]
  }
}

/**
 * The access that distribution itself requires in the token of a request. It is more than the specification requires:
 * writing needs pull as well, and canceling an upload needs delete.
 * Source: distribution 2.8, registry/handlers/app.go, `appendAccessRecords`.
 */
export function accessCheckedUpstream(request: RegistryRequest): Access[] {
  if (!('repository' in request)) return requiredAccess(request)
  const { repository, method } = request
  const needed =
    method === 'DELETE'
      ? repositoryAccess(repository, 'delete')
      : actionOf(method) === 'pull'
        ? repositoryAccess(repository, 'pull')
        : repositoryAccess(repository, 'pull', 'push')
  return [needed, ...mountAccess(request)]
}

/** The access that a client should request a token for: pushing also reads, and a mount reads another repository. */
export function challengeAccess(request: RegistryRequest): Access[] {
  const required = requiredAccess(request)
  if (!('repository' in request) || !required.some(({ actions }) => actions.includes('push'))) return required
  return [repositoryAccess(request.repository, 'pull', 'push'), ...mountAccess(request)]
}

/** All access that a request could use. Basic credentials are exchanged for a token with this access. */
export function usableAccess(request: RegistryRequest): Access[] {
  if (!('repository' in request)) return requiredAccess(request)
  return [repositoryAccess(request.repository, 'pull', 'push', 'delete'), ...mountAccess(request)]
}

export interface ChallengeOptions {
  /** URL of the token endpoint. */
  readonly realm: string
  readonly service: string
}

/** The response header that tells a client which token to get. Source: distribution, docs/spec/auth/token.md. */
export function challenge(
  { realm, service }: ChallengeOptions,
  required: readonly Access[],
  error?: 'insufficient_scope' | 'invalid_token',
): { readonly 'www-authenticate': string } {
  return { 'www-authenticate': formatBearerChallenge({ realm, service, required, error }) }
}

function mountAccess(request: RegistryRequest): Access[] {
  const mount = request.kind === 'upload-start' ? request.mount : undefined
  return mount === undefined ? [] : [repositoryAccess(mount.from, 'pull')]
}

function actionOf(method: RegistryRequest['method']): 'pull' | 'push' | 'delete' {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return 'pull'
    case 'POST':
    case 'PUT':
    case 'PATCH':
      return 'push'
    case 'DELETE':
      return 'delete'
  }
}
