import type { Access, RegistryRequest } from '@registry-manager/oci'
import { holds, permits, repositoryAccess } from '@registry-manager/oci'
import { accessCheckedUpstream, requiredAccess } from './required-access.ts'
import { isBound } from './upload-binding.ts'
import type { UpstreamRequest } from './upstream-request.ts'
import { toUpstreamRequest } from './upstream-request.ts'

/** Who asks, as their verified token says. */
export interface Caller {
  readonly uid: string
  readonly access: readonly Access[]
}

export type Decision =
  | {
      readonly outcome: 'forward'
      readonly upstream: UpstreamRequest
      /**
       * Access for a token of our own, where the registry looks for more than the caller's token says (and we
       * for less); undefined when the caller's token goes along.
       */
      readonly serviceAccess: readonly Access[] | undefined
    }
  | { readonly outcome: 'insufficient'; readonly required: readonly Access[] }
  | { readonly outcome: 'foreign-upload' }
  | { readonly outcome: 'not-built' }

/** Decides on a request: refused unless everything it needs is held. */
export function decide(asked: RegistryRequest, caller: Caller, uploadSecret: string): Decision {
  const required = requiredAccess(asked)
  if (!required.every((access) => permits(caller.access, access))) {
    return { outcome: 'insufficient', required: challengeAccess(asked) }
  }
  if (asked.kind === 'catalog' || asked.kind === 'tags' || asked.kind === 'referrers') {
    return { outcome: 'not-built' }
  }
  if (asked.kind === 'upload' && !isBound(uploadSecret, { ...asked, uid: caller.uid }, asked.binding)) {
    return { outcome: 'foreign-upload' }
  }
  const request = withPermittedMount(asked, caller)
  const checked = accessCheckedUpstream(request)
  const serviceAccess = checked.every((access) => holds(caller.access, access)) ? undefined : checked
  return { outcome: 'forward', upstream: toUpstreamRequest(request), serviceAccess }
}

/** A mount from where the caller may not pull becomes an ordinary upload: it says nothing about the blob. */
function withPermittedMount(request: RegistryRequest, { access }: Caller): RegistryRequest {
  if (request.kind !== 'upload-start' || request.mount === undefined) return request
  const allowed = permits(access, repositoryAccess(request.mount.from, 'pull'))
  return allowed ? request : { ...request, mount: undefined }
}

/** What a client should ask a token for: whoever writes reads as well, and a mount reads elsewhere. */
export function challengeAccess(request: RegistryRequest): Access[] {
  const required = requiredAccess(request)
  if (!('repository' in request) || !required.some(({ actions }) => actions.includes('push'))) return required
  return [repositoryAccess(request.repository, 'pull', 'push'), ...mountAccess(request)]
}

/** All that a request could use, for callers who bring a password instead of a token. */
export function usableAccess(request: RegistryRequest): Access[] {
  if (!('repository' in request)) return requiredAccess(request)
  return [repositoryAccess(request.repository, 'pull', 'push', 'delete'), ...mountAccess(request)]
}

function mountAccess(request: RegistryRequest): Access[] {
  const mount = request.kind === 'upload-start' ? request.mount : undefined
  return mount === undefined ? [] : [repositoryAccess(mount.from, 'pull')]
}
