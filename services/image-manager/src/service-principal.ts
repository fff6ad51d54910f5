import type { RequestPrincipal } from '@registry-manager/http'

/** The principal of what image-manager does on its own account, such as a reconcile run. */
export const IMAGE_MANAGER: RequestPrincipal = { kind: 'service', id: null, name: 'image-manager' }
