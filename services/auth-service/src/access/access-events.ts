import type { NewEvent } from '@registry-manager/events'
import type { PlannedGrant, StoredGrant, Subject } from './grant.ts'

export function grantChanged(
  action: 'grant.create' | 'grant.delete',
  namespace: string,
  { id, subject, repositories, role, actions, conditions }: StoredGrant,
): NewEvent {
  const terms = role === undefined ? { actions } : { role }
  return {
    action,
    target: { kind: 'grant', grant: id, namespace, ...accountOf(subject) },
    detail: {
      subject: `${subject.kind} ${subject.name}`,
      repositories,
      ...terms,
      ...(conditions && { conditions }),
    },
  }
}

/** The columns by which the audit log finds the events of an account. */
function accountOf({ kind, name, id }: PlannedGrant['subject']): { account?: string; id?: string } {
  return kind === 'group' ? {} : { account: name, id }
}

export function groupChanged(
  action: 'group.create' | 'group.update' | 'group.delete',
  group: string,
  detail: NewEvent['detail'] = {},
): NewEvent {
  return { action, target: { kind: 'group', group }, detail }
}

/** `source`: the source of the change of the membership: `local`, `directory`, or `provider:NAME`. */
export function memberChanged(
  action: 'group-member.add' | 'group-member.remove',
  group: string,
  { name, id }: Pick<Subject, 'name'> & { readonly id: string },
  source: string,
): NewEvent {
  return { action, target: { kind: 'group-member', group, account: name, id }, detail: { source } }
}
