import { runCommand } from './run-command.ts'

/** A real directory for one test, with its certificate authority and a service account. */
export interface TestDirectory {
  readonly host: string
  readonly port: number
  /** Host and port, with `ldaps://`. */
  readonly url: string
  /** Path of the authority's certificate, PEM. */
  readonly caFile: string
  readonly baseDn: string
  readonly service: { readonly dn: string; readonly password: string }
  /** Number of wrong passwords that lock an account. */
  readonly lockedAfter: number
  userDn(username: string): string
  groupDn(name: string): string
  addUsers(users: Readonly<Record<string, string>>): Promise<void>
  /** Creates a group of users or groups. */
  addGroup(name: string, memberDns: readonly string[]): Promise<void>
  addMember(group: string, memberDn: string): Promise<void>
  removeMember(group: string, memberDn: string): Promise<void>
  setPassword(username: string, password: string): Promise<void>
  disable(username: string): Promise<void>
  /** Sets the expiry of an account to a past time. */
  expire(username: string): Promise<void>
  remove(username: string): Promise<void>
  /** Applies changes as the directory's administrator. Source: RFC 2849. */
  apply(ldif: string): Promise<void>
  stop(): Promise<void>
}

/** Returns the settings for a directory with a service account. */
export function settingsFor(directory: TestDirectory): Record<string, string> {
  return {
    DIRECTORY_URL: directory.url,
    DIRECTORY_BASE_DN: directory.baseDn,
    DIRECTORY_BIND_DN: directory.service.dn,
    DIRECTORY_BIND_PASSWORD: directory.service.password,
    DIRECTORY_CA_FILE: directory.caFile,
  }
}

/** Encodes a line of an LDIF record in base64, which allows every value. Source: RFC 2849. */
export function line(name: string, value: string | Buffer): string {
  return `${name}:: ${Buffer.from(value as string).toString('base64')}`
}

/** Encodes an LDIF record. */
export function record(dn: string, lines: readonly string[]): string {
  return `${[line('dn', dn), ...lines].join('\n')}\n\n`
}

export function replace(dn: string, name: string, value: string | Buffer): string {
  return record(dn, ['changetype: modify', `replace: ${name}`, line(name, value)])
}

/** Names, records and the administrator's connection of a directory. */
interface Tree {
  readonly userDn: (username: string) => string
  readonly groupDn: (name: string) => string
  readonly apply: (ldif: string) => Promise<void>
  readonly userRecord: (dn: string, username: string, password: string) => string
  /** The lines of a group's record, except for its members. */
  readonly groupLines: (name: string) => readonly string[]
}

type SharedChanges = 'addUsers' | 'addGroup' | 'addMember' | 'removeMember' | 'remove'

/** Returns the changes that both kinds of directory have in common. */
export function sharedChanges(tree: Tree): Pick<TestDirectory, SharedChanges> {
  const { userDn, groupDn, apply, userRecord, groupLines } = tree
  const changeMember = (group: string, change: 'add' | 'delete', member: string) =>
    apply(record(groupDn(group), ['changetype: modify', `${change}: member`, line('member', member)]))
  return {
    addUsers: (users) =>
      apply(
        Object.entries(users)
          .map(([username, password]) => userRecord(userDn(username), username, password))
          .join(''),
      ),
    addGroup: (name, members) =>
      apply(
        record(groupDn(name), [
          'changetype: add',
          ...groupLines(name),
          ...members.map((member) => line('member', member)),
        ]),
      ),
    addMember: (group, member) => changeMember(group, 'add', member),
    removeMember: (group, member) => changeMember(group, 'delete', member),
    remove: (username) => apply(record(userDn(username), ['changetype: delete'])),
  }
}

/**
 * Sends changes to a server on this machine. Its certificate is not verified, because this client is not under test.
 */
export async function applyLdif(
  url: string,
  credentials: { readonly dn: string; readonly password: string },
  ldif: string,
): Promise<void> {
  // ldapmodify takes a password only from its command line or a file. The shell reads the password from standard input,
  // before the changes.
  const script = 'IFS= read -r password; exec ldapmodify -x -H "$1" -D "$2" -w "$password" >/dev/null'
  await runCommand('sh', ['-c', script, 'ldapmodify', url, credentials.dn], {
    input: `${credentials.password}\n${ldif}`,
    env: { LDAPTLS_REQCERT: 'never' },
    timeoutSeconds: 500,
  })
}
