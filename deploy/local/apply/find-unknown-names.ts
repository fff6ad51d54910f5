import type { SubjectKind } from '@registry-manager/auth-service/management'
import type { AccessFile, FileFault, Path } from './access-file.ts'

/** Whether the server has an account or a group, by kind and by name in lower case. */
export type IsKnown = (kind: SubjectKind, name: string) => boolean

/** Finds the names of grants and members that neither the file nor the server has. */
export function findUnknownNames(file: AccessFile, isKnown: IsKnown): FileFault[] {
  const own: Readonly<Record<SubjectKind, ReadonlySet<string>>> = {
    user: new Set(file.users.keys()),
    group: new Set(file.groups.keys()),
    'registry-token': new Set([...file.registryTokens.keys()].map((name) => name.toLowerCase())),
  }
  const check = (kind: SubjectKind, given: string, path: Path, place: string): FileFault[] => {
    const name = given.toLowerCase()
    if (own[kind].has(name) || isKnown(kind, name)) return []
    return [{ line: file.lineOf(path), text: `${place} must name a ${kind}; there is no ${given}` }]
  }
  return [
    ...[...file.groups].flatMap(([group, { members = [] }]) =>
      members.flatMap((name, index) =>
        check('user', name, ['groups', group, 'members', index], `group ${group}: members.${index}`),
      ),
    ),
    ...[...file.namespaces].flatMap(([namespace, { grants = [] }]) =>
      grants.flatMap(({ subject: { kind, name } }, index) =>
        check(
          kind,
          name,
          ['namespaces', namespace, 'grants', index, 'subject', 'name'],
          `namespace ${namespace}: grants.${index}.subject.name`,
        ),
      ),
    ),
  ].toSorted((one, other) => one.line - other.line)
}

/** The kinds of accounts and groups that a file names. */
export function namedKinds(file: AccessFile): ReadonlySet<SubjectKind> {
  const grants = [...file.namespaces.values()].flatMap((entry) => entry.grants ?? [])
  const hasMembers = [...file.groups.values()].some(({ members = [] }) => members.length > 0)
  return new Set([...grants.map(({ subject }) => subject.kind), ...(hasMembers ? (['user'] as const) : [])])
}
