import type { RequestPrincipal } from '@registry-manager/http'

/** The principal of work that no request caused, such as a reconcile run. */
export const IMAGE_MANAGER: RequestPrincipal = { kind: 'service', id: null, name: 'image-manager' }
