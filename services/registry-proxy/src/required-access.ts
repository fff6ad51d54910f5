import type { Access, RegistryRequest } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'

/** What a principal must be permitted for a request: reading is `pull`, writing `push`, deleting `delete`. */
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
      // Cancelling one's own upload deletes nothing that was ever there: it takes no more than beginning it.
      return [repositoryAccess(request.repository, actionOf(request.method) === 'pull' ? 'pull' : 'push')]
  }
}

/**
 * What distribution itself looks for in the token of a request, which is more than the specification wants:
 * writing takes pull as well, cancelling an upload takes delete.
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
  const mount = request.kind === 'upload-start' ? request.mount : undefined
  return mount === undefined ? [needed] : [needed, repositoryAccess(mount.from, 'pull')]
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
