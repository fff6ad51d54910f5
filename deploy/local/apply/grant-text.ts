import type { GrantInput } from '@registry-manager/auth-service/management'
import { identityOf, planTerms } from '@registry-manager/auth-service/management'

/** A text that is equal for grants that permit the same to the same subject. The grant must be valid. */
export function grantKey(namespace: string, { subject, ...given }: GrantInput): string {
  const planned = planTerms(namespace, given, '')
  if ('fault' in planned) throw new Error(`a grant of ${namespace} is invalid: ${planned.fault.detail}`)
  const id = `${subject.kind} ${subject.name.toLowerCase()}`
  return identityOf({ ...planned.terms, subject: { ...subject, id } })
}

/** A grant in words, such as `user jane: developer of team/*`. */
export function grantText({ subject, repositories, role, actions, conditions }: GrantInput): string {
  const rights = role === undefined ? (actions ?? []).join(', ') : role
  const limits = conditions === undefined ? '' : ` if ${JSON.stringify(conditions)}`
  return `${subject.kind} ${subject.name}: ${rights} of ${repositories}${limits}`
}
