import type { RequestContext, RequestPrincipal } from '@registry-manager/http'

/** The kinds of actions that events record. The names are part of the audit API. */
export const EVENT_ACTIONS = [
  'push',
  'tag.move',
  'tag.delete',
  'manifest.delete',
  'blob.delete',
  'repository.delete',
  'repository.scope',
  'trash.restore',
  'trash.purge',
  'reconcile',
  'immutability.update',
  'retention.update',
  'sign-in',
  'sign-out',
  'request',
  'sessions.end',
  'user.create',
  'user.update',
  'user.delete',
  'user.password',
  'registry-token.create',
  'registry-token.update',
  'registry-token.rotate',
  'registry-token.delete',
  'personal-token.create',
  'personal-token.delete',
  'trust-rule.create',
  'trust-rule.update',
  'trust-rule.delete',
  'group.create',
  'group.update',
  'group.delete',
  'group-member.add',
  'group-member.remove',
  'grant.create',
  'grant.delete',
  'quota.update',
  'quota.recount',
  'quota.soft-limit',
  'collection.update',
  'keys.rotate',
] as const
export type EventAction = (typeof EVENT_ACTIONS)[number]

/** `done`: the change was made. `refused`: the request was not permitted. `failed`: an error ended it. */
export const EVENT_OUTCOMES = ['done', 'refused', 'failed'] as const
export type EventOutcome = (typeof EVENT_OUTCOMES)[number]

/**
 * The target of an event. `account` names a user or registry token, and `id` is the id of that account, if it is known.
 */
export type EventTarget =
  | { readonly kind: 'repository'; readonly repository: string }
  | { readonly kind: 'manifest'; readonly repository: string; readonly digest: string }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: string }
  | {
      readonly kind: 'tag'
      readonly repository: string
      readonly tag: string
      readonly digest?: string | undefined
    }
  | { readonly kind: 'user'; readonly account: string | null; readonly id?: string | undefined }
  | { readonly kind: 'registry-token'; readonly account: string; readonly id?: string | undefined }
  /** `account` and `id` are those of the owner. */
  | {
      readonly kind: 'personal-token'
      readonly account: string
      readonly id: string
      readonly token: string
      readonly tokenId: string
    }
  | {
      readonly kind: 'trust-rule'
      readonly namespace: string
      readonly rule: string
      readonly id?: string | undefined
    }
  | { readonly kind: 'group'; readonly group: string }
  | {
      readonly kind: 'group-member'
      readonly group: string
      readonly account: string
      readonly id?: string | undefined
    }
  /** `grant` is the id of the grant. `account` is its subject, unless that is a group. */
  | {
      readonly kind: 'grant'
      readonly grant: string
      readonly namespace: string
      readonly account?: string | undefined
      readonly id?: string | undefined
    }
  /** The policies of a namespace. */
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'signing-keys' }
  /** Everything that image-manager knows about repositories. */
  | { readonly kind: 'index' }
  /** The data of the registry. */
  | { readonly kind: 'storage' }
  /** A request to a management API. */
  | { readonly kind: 'request'; readonly method: string; readonly path: string }

/**
 * Plain JSON. Never a secret. A field that changed is `{ from, to }`. `docs/audit.md` lists the fields of each action.
 */
export type EventDetail = Readonly<Record<string, unknown>>

export interface NewEvent {
  /** When the action happened; the time of the transaction when left out. */
  readonly time?: Date
  readonly action: EventAction
  readonly target: EventTarget
  /** `done` when left out. */
  readonly outcome?: EventOutcome
  readonly detail?: EventDetail
  /**
   * The context of the request that caused the event, if that is not the current one: work can outlive its request.
   * Null if it is not known.
   */
  readonly context?: RequestContext | null | undefined
  /** The principal of the action; that of the current request when left out. */
  readonly principal?: RequestPrincipal
  /** The client's IP address; that of the current request when left out. */
  readonly address?: string
  /** The id of the request; that of the current request when left out. */
  readonly requestId?: string
}

/** A short name of the target, as people write it: `team/app:1`, `team/app@sha256:…`, `jane`, `jane/laptop`. */
export function nameOfTarget(target: EventTarget): string {
  switch (target.kind) {
    case 'repository':
      return target.repository
    case 'manifest':
    case 'blob':
      return `${target.repository}@${target.digest}`
    case 'tag':
      return `${target.repository}:${target.tag}`
    case 'user':
    case 'registry-token':
      return target.account ?? ''
    case 'personal-token':
      return `${target.account}/${target.token}`
    case 'trust-rule':
      return `${target.namespace}/${target.rule}`
    case 'group':
      return target.group
    case 'group-member':
      return `${target.group}/${target.account}`
    case 'grant':
      return `${target.namespace}/${target.grant}`
    case 'namespace':
      return target.namespace
    case 'signing-keys':
      return 'signing keys'
    case 'index':
      return 'index'
    case 'storage':
      return 'storage'
    case 'request':
      return `${target.method} ${target.path}`
  }
}
