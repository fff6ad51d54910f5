import { requestPrincipalOf } from '@registry-manager/http'
import type { Access, Reference, RegistryRequest } from '@registry-manager/oci'
import { holdsExactly, permits, repositoryAccess, tagMatchesAll } from '@registry-manager/oci'
import type { Authenticator, FindAccountRights, Principal } from '@registry-manager/principal'
import { credentialsOf, decideAccess } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import type { RefusedRequest } from './describe-refusal.ts'
import {
  describeElsewhere,
  describeInsufficient,
  describeMount,
  describeRefusedTag,
} from './describe-refusal.ts'
import type { Refusal } from './refuse.ts'
import { retryLater } from './refuse.ts'
import type { ChallengeOptions } from './required-access.ts'
import { accessCheckedUpstream, challenge, challengeAccess, requiredAccess } from './required-access.ts'
import { isBound } from './upload-binding.ts'
import type { ForwardedRequest } from './upstream-request.ts'

/** A request to which image-manager responds from its index. */
export type IndexRequest = Extract<
  RegistryRequest,
  { kind: 'catalog' | 'tags' | 'referrers' | 'manifest' | 'blob' }
>

/** How an authorized request is fulfilled. */
export type Authorized =
  | {
      readonly outcome: 'forward'
      readonly request: ForwardedRequest
      /**
       * Access of a service token that is sent instead of the principal's token. Needed if the principal's token
       * permits the request by our rules, but the registry requires more access than it has. Undefined if the
       * principal's token is forwarded.
       */
      readonly serviceAccess: readonly Access[] | undefined
      /** The decision holds for the client's address only. Absent otherwise. */
      readonly isAddressBound?: true
    }
  /**
   * Requests for the index: lists, deletions (which change lists, and need every name of a manifest or blob), and
   * manifests by their sha512 digest, which the registry does not know.
   */
  | { readonly outcome: 'index'; readonly request: IndexRequest }

export type Decision =
  | Authorized
  /** `required` is the access that a client should request a token for. */
  | { readonly outcome: 'insufficient'; readonly required: readonly Access[] }
  /** The token permits the request in these networks only. */
  | { readonly outcome: 'elsewhere'; readonly networks: readonly string[] }
  /** The token permits pushes of tags that match one of these patterns only. */
  | { readonly outcome: 'tag'; readonly tag: string; readonly patterns: readonly string[] }
  | { readonly outcome: 'foreign-upload' }

/** Decides whether a principal may make a request. */
export function decide(request: RegistryRequest, principal: Principal, uploadSecret: string): Decision {
  const required = requiredAccess(request)
  // An identity token has no access.
  const held = principal.access ?? []
  const isPermittedBy = (entries: readonly Access[]) => required.every((access) => permits(entries, access))
  if (!isPermittedBy(held)) {
    const { elsewhere = [] } = principal
    if (!isPermittedBy([...held, ...elsewhere])) {
      return { outcome: 'insufficient', required: challengeAccess(request) }
    }
    return { outcome: 'elsewhere', networks: elsewhere.flatMap(({ networks }) => networks ?? []) }
  }
  const refusedTag = findRefusedTag(request, held)
  if (refusedTag !== undefined) return { outcome: 'tag', ...refusedTag }
  if (request.kind === 'catalog' || request.kind === 'tags' || request.kind === 'referrers') {
    return { outcome: 'index', request }
  }
  if ((request.kind === 'manifest' || request.kind === 'blob') && request.method === 'DELETE') {
    return { outcome: 'index', request }
  }
  if (request.kind === 'manifest' && request.method !== 'PUT' && isBySha512(request.reference)) {
    return { outcome: 'index', request }
  }
  if (
    request.kind === 'upload' &&
    !isBound(uploadSecret, { ...request, uid: principal.uid }, request.binding)
  ) {
    return { outcome: 'foreign-upload' }
  }
  const forwarded = withPermittedMount(request, held)
  const checked = accessCheckedUpstream(forwarded)
  const serviceAccess = checked.every((access) => holdsExactly(held, access)) ? undefined : checked
  const isAddressBound = !isPermittedBy(held.filter(({ networks }) => networks === undefined))
  const bound = isAddressBound ? ({ isAddressBound } as const) : {}
  return { outcome: 'forward', request: forwarded, serviceAccess, ...bound }
}

/** The first tag that a push of a manifest would set and that the token does not permit to push. */
function findRefusedTag(
  request: RegistryRequest,
  held: readonly Access[],
): { readonly tag: string; readonly patterns: readonly string[] } | undefined {
  if (request.kind !== 'manifest' || request.method !== 'PUT') return undefined
  const { repository, reference, tags = [] } = request
  const pushes = held.filter(
    ({ type, name, actions }) => type === 'repository' && name === repository && actions.includes('push'),
  )
  const tag = ['tag' in reference ? [reference.tag] : [], tags]
    .flat()
    .find((tag) => !pushes.some((entry) => entry.tags === undefined || tagMatchesAll(entry.tags, tag)))
  return tag === undefined
    ? undefined
    : { tag, patterns: pushes.flatMap((entry) => entry.tags?.replaceAll('&', ' and ') ?? []) }
}

export interface AuthorizeOptions extends ChallengeOptions {
  readonly uploadSecret: string
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
  readonly authenticator: Pick<Authenticator, 'confirmAccount'>
  readonly findAccount: FindAccountRights
  /** Milliseconds since the epoch. */
  now(): number
}

/**
 * Decides whether a principal may make a request, and how a request that is not permitted is refused. Throws
 * ServiceCallError when auth-service is unavailable.
 */
export async function authorize(
  options: AuthorizeOptions,
  registryRequest: RegistryRequest,
  principal: Principal,
  request: FastifyRequest,
): Promise<Authorized | { readonly refused: Refusal }> {
  const decision = decide(registryRequest, principal, options.uploadSecret)
  const refused = (): RefusedRequest => ({
    needed: requiredAccess(registryRequest)[0] ?? NO_ACCESS,
    requested: challengeAccess(registryRequest),
    held: principal.access ?? [],
    requestPrincipal: requestPrincipalOf(request),
    publicOrigin: options.publicOrigin,
  })
  switch (decision.outcome) {
    case 'insufficient': {
      const isMore = decision.required.some(isMoreThanPull)
      if (isMore) {
        if (principal.offline === true) return { refused: OFFLINE_TOKEN }
        await options.authenticator.confirmAccount(principal.uid)
      }
      const isPassword = credentialsOf(request).kind === 'basic'
      // Without auth-service the refusal says less.
      const account =
        isMore || isPassword ? await options.findAccount(principal).catch(() => undefined) : undefined
      const context = { address: request.ip, now: options.now() }
      const texts = describeInsufficient(refused(), { account, context, isPassword })
      // A retry with the same password gets no more access: 403. A client with a token can request a wider one: 401
      // with a challenge.
      if (isPassword) return { refused: { code: 'DENIED', ...texts } }
      const headers = challenge(options, decision.required, 'insufficient_scope')
      return { refused: { code: 'UNAUTHORIZED', ...texts, headers } }
    }
    case 'elsewhere':
      return { refused: { code: 'DENIED', ...describeElsewhere(refused(), decision.networks) } }
    case 'tag':
      return {
        refused: { code: 'DENIED', ...describeRefusedTag(refused(), decision.tag, decision.patterns) },
      }
    case 'foreign-upload':
      return { refused: { code: 'BLOB_UPLOAD_UNKNOWN' } }
    case 'index':
      return decision
    case 'forward':
      if (!(await canGetAccessToMount(options, registryRequest, decision.request, principal, request.ip)))
        return decision
      return {
        refused: {
          code: 'UNAUTHORIZED',
          ...describeMount(refused()),
          headers: challenge(options, challengeAccess(registryRequest), 'insufficient_scope'),
        },
      }
  }
}

/**
 * Whether the mount of a request was left out only because the token lacks access that the account has. Then a
 * challenge that names both repositories lets the client get a token with that access, and mount.
 */
async function canGetAccessToMount(
  { findAccount, now }: AuthorizeOptions,
  requested: RegistryRequest,
  forwarded: ForwardedRequest,
  principal: Principal,
  address: string,
): Promise<boolean> {
  const mount = requested.kind === 'upload-start' ? requested.mount : undefined
  if (mount === undefined || mount.digest.startsWith('sha512:') || principal.offline === true) return false
  if (forwarded.kind !== 'upload-start' || forwarded.mount !== undefined) return false
  // Without auth-service the blob is uploaded.
  const account = await findAccount(principal).catch(() => undefined)
  return account !== undefined && decideAccess(account, mount.from, { address, now: now() }).pull.allowed
}

/**
 * A token that was issued while the database was unavailable permits pulls only, whatever the account may do. This
 * depends on the token's `offline` claim, not on whether the database is available now. docker never retries after 401
 * and 403. It retries a layer after 503 for 50 seconds.
 * Source: moby, distribution/push_v2.go, distribution/xfer/upload.go.
 */
const OFFLINE_TOKEN = retryLater(
  'the token was issued while the database was unavailable and permits pulls only; retry with a new token',
  5,
)

/** `GET /v2/` needs credentials only. */
const NO_ACCESS: Access = { type: 'registry', name: 'base', actions: [] }

function isMoreThanPull({ actions }: Access): boolean {
  return actions.some((action) => action !== 'pull')
}

function isBySha512(reference: Reference): boolean {
  return 'digest' in reference && reference.digest.startsWith('sha512:')
}

/**
 * Turns a mount from a repository that the token may not pull into an ordinary upload. The client gets 202 (OCI
 * distribution-spec 1.1, "Mounting a blob": the registry SHOULD respond so if it does not mount). The response says
 * nothing about the blob.
 *
 * distribution responds 401 with a challenge for both repositories, which suits clients that request scopes only when
 * challenged. It is the response here too if the account may pull from the source (`canGetAccessToMount`). Otherwise a
 * challenge would send clients for a token that they cannot get, and clients that do not fall back to an upload would
 * fail at the second 401.
 *
 * A mount by a sha512 digest becomes an upload too: distribution accepts the mount and does not find the blob later.
 */
function withPermittedMount(request: ForwardedRequest, held: readonly Access[]): ForwardedRequest {
  if (request.kind !== 'upload-start' || request.mount === undefined) return request
  const { from, digest } = request.mount
  const allowed = permits(held, repositoryAccess(from, 'pull')) && !digest.startsWith('sha512:')
  return allowed ? request : { ...request, mount: undefined }
}
