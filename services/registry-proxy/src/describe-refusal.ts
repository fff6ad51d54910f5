import type { RequestPrincipal } from '@registry-manager/http'
import type { Access, RepositoryAction } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS, formatScope, permits, repositoryAccess } from '@registry-manager/oci'
import type { AccountRights, ConditionContext } from '@registry-manager/principal'
import {
  ANONYMOUS_UID,
  decideAccess,
  describeAction,
  describeActivity,
  describeWhoCanGrant,
  describeManagers,
} from '@registry-manager/principal'

/*
 * The messages of 401 and 403: `message` for clients that print it, and `detail` with the rest. Both depend only on the
 * request, on the token and on the rights of the principal's own account, never on whether a repository exists.
 */

/** The `detail` of 401 and 403. */
export interface RefusalDetail {
  /** The scope that the request needs, as in a request for a token; empty if only credentials are needed. */
  readonly required: string
  /** The scope of the token for the repository of the request; empty if the token permits nothing there. */
  readonly permitted: string
  /** A way to get the missing access. */
  readonly help: string
  /** The URL that explains the decision; only for principals with an account. */
  readonly explain?: string
}

/** A message and a detail for a refusal. */
export interface RefusalTexts {
  readonly message: string
  readonly detail: RefusalDetail
}

/** A request that is refused, and its principal. */
export interface RefusedRequest {
  /** The access that the request needs. */
  readonly needed: Access
  /** The access that a client should request a token for. */
  readonly requested: readonly Access[]
  /** The access of the token that counts here. */
  readonly held: readonly Access[]
  /** Null if it is not known. */
  readonly requestPrincipal: RequestPrincipal | null
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
  /** The tag that the request would push. */
  readonly tag?: string | undefined
}

/** The message for a token whose access does not suffice. `account` is undefined if it is not known. */
export function describeInsufficient(
  refused: RefusedRequest,
  { account, context, isPassword }: AccountView,
): RefusalTexts {
  const { needed, requested, held, requestPrincipal } = refused
  const scope = formatScope(requested)
  const tokenTexts = (activity: string) => ({
    message: `the token does not permit ${activity}; request one with the scope ${scope}`,
    detail: detailOf(refused, `request a token with the scope ${scope}`),
  })
  const action = actionOf(needed)
  if (action === undefined) return tokenTexts('listing repositories')
  const what = describeAction(action, needed.name)
  const activity = describeActivity(action, needed.name)
  if (requestPrincipal?.id === ANONYMOUS_UID) {
    return { message: `sign in to ${what}`, detail: detailOf(refused, 'send a username and a password') }
  }
  const own = account && decideAccess(account, needed.name, context)
  // A client with a token gets another one if its account may do more, or if the repository is global.
  if (!isPassword && (own === undefined || own[action].allowed || action === 'pull')) {
    return tokenTexts(activity)
  }
  if (own?.[action].isBeyondScopes === true) {
    return {
      message: `the scopes of this personal token do not permit ${activity}`,
      detail: detailOf(refused, `use a personal token whose scopes include ${formatScope([needed])}`),
    }
  }
  const tokenFault = own?.[action].tokenFault
  if (tokenFault !== undefined) {
    return {
      message: `this token has a condition: ${tokenFault.detail}`,
      detail: detailOf(
        refused,
        'send the request from a permitted network at a permitted time, or use another token',
      ),
    }
  }
  const [failed] = own?.[action].failed ?? []
  if (failed !== undefined) {
    return {
      message: `the right to ${what} has a condition: ${failed.fault.detail}`,
      detail: detailOf(refused, `${describeManagers(needed.name)} can change the condition`),
    }
  }
  const others = REPOSITORY_ACTIONS.filter(
    (other) => own?.[other].allowed === true || permits(held, repositoryAccess(needed.name, other)),
  )
  const isWorkload = requestPrincipal?.kind === 'workload'
  const rest = others.length === 0 ? '' : `, only ${others.join(' and ')}`
  return {
    message: `${subjectOf(requestPrincipal)} may not ${what}${rest}`,
    detail: detailOf(refused, describeWhoCanGrant(action, needed.name, isWorkload ? 'workload' : 'account')),
  }
}

/** The rights of the principal's own account, and how the principal authenticated. */
export interface AccountView {
  readonly account: AccountRights | undefined
  readonly context: ConditionContext
  /** Whether the request has a password: its token then has all access that the account has. */
  readonly isPassword: boolean
}

/** The message for a token whose access counts in other networks only. */
export function describeElsewhere(refused: RefusedRequest, networks: readonly string[]): RefusalTexts {
  return {
    message: `this access is limited to clients in ${networks.join(', ')}`,
    detail: detailOf(
      refused,
      `send the request from one of these networks; ${describeManagers(refused.needed.name)} can change the condition`,
    ),
  }
}

/** The message for a tag that may not be pushed. */
export function describeRefusedTag(
  refused: RefusedRequest,
  tag: string,
  patterns: readonly string[],
): RefusalTexts {
  const allowed = patterns.join(' or ')
  return {
    message: `the tag ${tag} may not be pushed; this access is limited to tags that match ${allowed}`,
    detail: detailOf(
      { ...refused, tag },
      `push a tag that matches ${allowed}; ${describeManagers(refused.needed.name)} can change the condition`,
    ),
  }
}

/** The message for a mount whose source may not be read. */
export function describeMount(refused: RefusedRequest): RefusalTexts {
  return {
    message: 'the token does not permit pulls from the repository that the blob is mounted from',
    detail: detailOf(refused, `request a token with the scope ${formatScope(refused.requested)}`),
  }
}

const SIGN_IN = 'send a username and a password, or an access token from'

/**
 * The message for refused credentials, which says nothing about accounts. `realm` is the URL of the token endpoint,
 * `reason` the reason why a right password is refused.
 */
export function describeUnauthenticated(
  kind: 'none' | 'malformed' | 'basic' | 'bearer',
  requested: readonly Access[],
  realm: string,
  reason = 'the username or the password is wrong',
): RefusalTexts {
  const messages = {
    none: 'authentication required',
    malformed: 'authentication required: the Authorization header has neither Basic nor Bearer credentials',
    basic: `authentication required: ${reason}`,
    bearer: 'authentication required: the token is invalid, expired or revoked',
  }
  const required = formatScope(requested)
  return { message: messages[kind], detail: { required, permitted: '', help: `${SIGN_IN} ${realm}` } }
}

function detailOf(
  { needed, requested, held, requestPrincipal, publicOrigin, tag }: RefusedRequest,
  help: string,
) {
  const permitted = held
    .filter(({ type, name }) => type === needed.type && name === needed.name)
    .map(({ type, name, actions }) => ({ type, name, actions }))
  const detail = { required: formatScope(requested), permitted: formatScope(permitted), help }
  const action = actionOf(needed)
  if (
    action === undefined ||
    requestPrincipal === null ||
    requestPrincipal.name === null ||
    requestPrincipal.id === ANONYMOUS_UID
  )
    return detail
  // A repository name has no character that a query would have to escape.
  const question = [
    requestPrincipal.kind === 'workload'
      ? `rule=${requestPrincipal.id}`
      : `account=${encodeURIComponent(requestPrincipal.name)}`,
    `repository=${needed.name}`,
    `action=${action}`,
    ...(requestPrincipal.via ? [`token=${requestPrincipal.via.id}`] : []),
    ...(tag === undefined ? [] : [`tag=${tag}`]),
  ]
  return { ...detail, explain: `${publicOrigin}/access/explain?${question.join('&')}` }
}

function actionOf({ type, actions }: Access): RepositoryAction | undefined {
  return type === 'repository' ? REPOSITORY_ACTIONS.find((action) => actions.includes(action)) : undefined
}

function subjectOf(requestPrincipal: RequestPrincipal | null): string {
  if (requestPrincipal?.kind === 'workload') return 'this workload'
  return requestPrincipal?.kind === 'registry-token' ? 'this registry token' : 'this account'
}
