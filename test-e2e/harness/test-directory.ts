import { runCommand } from './run-command.ts'

/** A real directory of a test's own, with its authority and a service account. */
export interface TestDirectory {
  readonly host: string
  readonly port: number
  /** Host and port, with `ldaps://`. */
  readonly url: string
  /** Certificate of the authority that made its own, PEM. */
  readonly caFile: string
  readonly baseDn: string
  readonly service: { readonly dn: string; readonly password: string }
  /** So many wrong passwords lock an account. */
  readonly lockedAfter: number
  personDn(username: string): string
  groupDn(name: string): string
  addUsers(users: Readonly<Record<string, string>>): Promise<void>
  /** Makes a group, of people or groups. */
  addGroup(name: string, memberDns: readonly string[]): Promise<void>
  addMember(group: string, memberDn: string): Promise<void>
  removeMember(group: string, memberDn: string): Promise<void>
  setPassword(username: string, password: string): Promise<void>
  disable(username: string): Promise<void>
  /** Makes an account end at a time that is over. */
  expire(username: string): Promise<void>
  remove(username: string): Promise<void>
  /** Runs changes, as its administrator. Source: RFC 2849. */
  apply(ldif: string): Promise<void>
  stop(): Promise<void>
}

/** The settings for a directory whose users are found by its service account. */
export function settingsFor(directory: TestDirectory): Record<string, string> {
  return {
    DIRECTORY_URL: directory.url,
    DIRECTORY_BASE_DN: directory.baseDn,
    DIRECTORY_BIND_DN: directory.service.dn,
    DIRECTORY_BIND_PASSWORD: directory.service.password,
    DIRECTORY_CA_FILE: directory.caFile,
  }
}

/** A distinguished name's or another value's line; in base64, so that it may hold anything. Source: RFC 2849. */
export function line(name: string, value: string | Buffer): string {
  return `${name}:: ${Buffer.from(value as string).toString('base64')}`
}

/** An LDIF record. */
export function record(dn: string, lines: readonly string[]): string {
  return `${[line('dn', dn), ...lines].join('\n')}\n\n`
}

export function replace(dn: string, name: string, value: string | Buffer): string {
  return record(dn, ['changetype: modify', `replace: ${name}`, line(name, value)])
}

export function changeMember(group: string, change: 'add' | 'delete', member: string): string {
  return record(group, ['changetype: modify', `${change}: member`, line('member', member)])
}

/** Sends changes to a server on this machine, whose certificate is not looked at: this is no client under test. */
export async function applyLdif(
  url: string,
  who: { readonly dn: string; readonly password: string },
  ldif: string,
): Promise<void> {
  // The command takes a password from its command line or a file: the file is its own input, before the changes.
  const script = 'IFS= read -r password; exec ldapmodify -x -H "$1" -D "$2" -w "$password" >/dev/null'
  await runCommand('sh', ['-c', script, 'ldapmodify', url, who.dn], {
    input: `${who.password}\n${ldif}`,
    env: { LDAPTLS_REQCERT: 'never' },
    timeoutSeconds: 500,
  })
}
