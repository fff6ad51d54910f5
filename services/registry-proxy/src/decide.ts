import type { Access, Reference, RegistryRequest } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'
import { holdsExactly, permits, repositoryAccess } from '@registry-manager/oci'
import { accessCheckedUpstream, requiredAccess } from './required-access.ts'
import { isBound } from './upload-binding.ts'
import type { ForwardedRequest, UpstreamRequest } from './upstream-request.ts'
import { toUpstreamRequest } from './upstream-request.ts'

export type Decision =
  | {
      readonly outcome: 'forward'
      readonly upstream: UpstreamRequest
      /**
       * Access for a token of our own, where the registry looks for more than the principal's token says (and we
       * for less); undefined when the principal's token goes along.
       */
      readonly serviceAccess: readonly Access[] | undefined
    }
  | { readonly outcome: 'insufficient'; readonly required: readonly Access[] }
  | { readonly outcome: 'foreign-upload' }
  /**
   * The index answers, not the registry: lists, deletions (which change lists, and know every name of a thing), and
   * manifests by their sha512, which the registry does not know them by.
   */
  | { readonly outcome: 'index'; readonly asked: IndexRequest }

/** What image-manager is asked for. */
export type IndexRequest = Extract<
  RegistryRequest,
  { kind: 'catalog' | 'tags' | 'referrers' | 'manifest' | 'blob' }
>

/** Decides on a request: refused unless everything it needs is held. */
export function decide(asked: RegistryRequest, principal: Principal, uploadSecret: string): Decision {
  const required = requiredAccess(asked)
  // An identity token names the account and carries nothing.
  const held = principal.access ?? []
  if (!required.every((access) => permits(held, access))) {
    return { outcome: 'insufficient', required: challengeAccess(asked) }
  }
  if (asked.kind === 'catalog' || asked.kind === 'tags' || asked.kind === 'referrers') {
    return { outcome: 'index', asked }
  }
  if ((asked.kind === 'manifest' || asked.kind === 'blob') && asked.method === 'DELETE') {
    return { outcome: 'index', asked }
  }
  if (asked.kind === 'manifest' && asked.method !== 'PUT' && isBySha512(asked.reference)) {
    return { outcome: 'index', asked }
  }
  if (asked.kind === 'upload' && !isBound(uploadSecret, { ...asked, uid: principal.uid }, asked.binding)) {
    return { outcome: 'foreign-upload' }
  }
  const request = withPermittedMount(asked, held)
  const checked = accessCheckedUpstream(request)
  const serviceAccess = checked.every((access) => holdsExactly(held, access)) ? undefined : checked
  return { outcome: 'forward', upstream: toUpstreamRequest(request), serviceAccess }
}

function isBySha512(reference: Reference): boolean {
  return 'digest' in reference && reference.digest.startsWith('sha512:')
}

/**
 * A mount from a repository that the token may not pull becomes an ordinary upload, 202 (OCI
 * distribution-spec 1.1, "Mounting a blob": the registry SHOULD answer so where it does not mount). It says
 * nothing about the blob.
 *
 * distribution answers 401 instead, with a challenge for both repositories. We do not, although a client that
 * asks for scopes only when challenged would mount then: docker, containerd, BuildKit, podman, skopeo, crane
 * and oras all ask for the source's pull beforehand, so their token lacks it only where their account does. A
 * challenge would send those for a token that they cannot get, and clients that do not fall back would fail
 * at the second 401, where they upload now. The others lose bandwidth, never a push.
 *
 * A mount by a sha512 digest is an upload too: distribution says yes to it, and then cannot find the blob.
 */
function withPermittedMount(request: ForwardedRequest, held: readonly Access[]): ForwardedRequest {
  if (request.kind !== 'upload-start' || request.mount === undefined) return request
  const { from, digest } = request.mount
  const allowed = permits(held, repositoryAccess(from, 'pull')) && !digest.startsWith('sha512:')
  return allowed ? request : { ...request, mount: undefined }
}

/** What a client should ask a token for: whoever writes reads as well, and a mount reads elsewhere. */
export function challengeAccess(request: RegistryRequest): Access[] {
  const required = requiredAccess(request)
  if (!('repository' in request) || !required.some(({ actions }) => actions.includes('push'))) return required
  return [repositoryAccess(request.repository, 'pull', 'push'), ...mountAccess(request)]
}

/** All that a request could use, for principals who bring a password instead of a token. */
export function usableAccess(request: RegistryRequest): Access[] {
  if (!('repository' in request)) return requiredAccess(request)
  return [repositoryAccess(request.repository, 'pull', 'push', 'delete'), ...mountAccess(request)]
}

function mountAccess(request: RegistryRequest): Access[] {
  const mount = request.kind === 'upload-start' ? request.mount : undefined
  return mount === undefined ? [] : [repositoryAccess(mount.from, 'pull')]
}
