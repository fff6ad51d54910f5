import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Teardown } from './server-process.ts'
import { startServer } from './server-process.ts'
import type { Authority } from './certificates.ts'
import { createAuthority } from './certificates.ts'
import { ensureCommands, findCommand } from './debian-packages.ts'
import { runCommand } from './run-command.ts'
import type { TestDirectory } from './test-directory.ts'
import { applyLdif, line, record, replace, sharedChanges } from './test-directory.ts'

const BASE = 'DC=example,DC=com'
const USERS = `CN=Users,${BASE}`
const ADMINISTRATOR = { dn: `CN=Administrator,${USERS}`, password: 'Password-of-the-administrator-1' }
const SERVICE = { dn: `CN=registry-manager,${USERS}`, password: 'Password-of-the-service-1' }
const LOCKED_AFTER = 3
/** The Debian packages of a domain controller. The documentation folder of a package shows that it is installed. */
const PACKAGES = [
  'samba',
  'samba-ad-provision',
  'samba-dsdb-modules',
  'samba-vfs-modules',
  'python3-samba',
  'winbind',
]

/** Returns the reason why no domain controller can run here, or false. */
export async function sambaIsMissing(): Promise<string | false> {
  const packages = Object.fromEntries(PACKAGES.map((name) => [`/usr/share/doc/${name}`, name]))
  const programs = { samba: 'samba', 'samba-tool': 'samba' }
  const others = { ldapmodify: 'ldap-utils', openssl: 'openssl', setpriv: 'util-linux' }
  const missing = await ensureCommands({ ...packages, ...programs, ...others })
  return missing || (process.getuid?.() !== 0 && 'a domain controller needs root')
}

/**
 * Starts an Active Directory domain controller (Samba) for the domain example.com, with its own ports on an unused
 * loopback address.
 */
export async function startSamba(
  scope: Teardown,
  given: { authority?: Authority } = {},
): Promise<TestDirectory> {
  const folder = await mkdtemp(join(tmpdir(), 'samba-'))
  scope.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const authority = given.authority ?? (await createAuthority(folder))
  const [host, port] = [loopbackAddress(), 636]
  const certificate = await authority.issue('dc1', ['DNS:dc1.example.com', `IP:${host}`, 'IP:127.0.0.1'])
  const settings = {
    interfaces: `${host}/8`,
    'bind interfaces only': 'yes',
    'server services': 'ldap, cldap, kdc, rpc, winbindd, ntp_signd',
    'log file': join(folder, 'log'),
    'pid directory': folder,
    'ncalrpc dir': join(folder, 'ncalrpc'),
    'winbindd socket directory': join(folder, 'winbindd'),
    'ntp signd socket directory': join(folder, 'ntp'),
    'tls keyfile': certificate.keyFile,
    'tls certfile': certificate.certificateFile,
    'tls cafile': authority.file,
  }
  const domain = ['--realm=EXAMPLE.COM', '--domain=EXAMPLE', '--host-name=dc1', '--server-role=dc']
  const options = Object.entries(settings).map(([name, value]) => `--option=${name}=${value}`)
  const provision = ['domain', 'provision', ...domain, '--dns-backend=NONE', ...options]
  const rest = [`--targetdir=${join(folder, 'domain')}`, `--adminpass=${ADMINISTRATOR.password}`]
  await runCommand(findCommand('samba-tool')!, [...provision, ...rest], { timeoutSeconds: 500 })
  const config = join(folder, 'domain', 'etc', 'smb.conf')
  const command = [findCommand('samba')!, '-i', '-M', 'prefork', '-s', config] as const
  const { stop } = await startServer(scope, [...command], { host, port, log: join(folder, 'output') })

  const apply = (ldif: string) => applyLdif(`ldaps://${host}:${port}`, ADMINISTRATOR, ldif)
  const userDn = (username: string) => `CN=${username},${USERS}`
  const groupDn = (name: string) => `CN=${name},${USERS}`
  const groupLines = (name: string) => ['objectClass: group', `sAMAccountName: ${name}`]
  const changes = sharedChanges({ userDn, groupDn, apply, userRecord, groupLines })
  await apply(replace(BASE, 'lockoutThreshold', String(LOCKED_AFTER)))
  await changes.addUsers({ 'registry-manager': SERVICE.password })
  return {
    host,
    port,
    url: `ldaps://${host}`,
    caFile: authority.file,
    baseDn: BASE,
    service: SERVICE,
    lockedAfter: LOCKED_AFTER,
    userDn,
    groupDn,
    apply,
    stop,
    ...changes,
    setPassword: (username, password) => apply(replace(userDn(username), 'unicodePwd', quoted(password))),
    // 512 is a normal account, 2 is disabled. Source: MS-ADTS §2.2.16.
    disable: (username) => apply(replace(userDn(username), 'userAccountControl', '514')),
    // A time in 2020. Source: MS-DTYP §2.3.3 (FILETIME).
    expire: (username) => apply(replace(userDn(username), 'accountExpires', '132223104000000000')),
  }
}

/** Returns a user's LDIF record. */
export function userRecord(dn: string, username: string, password: string): string {
  return record(dn, [
    'changetype: add',
    'objectClass: user',
    line('sAMAccountName', username),
    line('userPrincipalName', `${username}@example.com`),
    'userAccountControl: 512',
    line('unicodePwd', quoted(password)),
  ])
}

/** Encodes a password for Active Directory. Source: MS-ADTS §3.1.1.3.1.5.1. */
function quoted(password: string): Buffer {
  return Buffer.from(`"${password}"`, 'utf16le')
}

/** Concurrent test files have different process ids, and so different addresses. All of 127.0.0.0/8 is loopback. */
function loopbackAddress(): string {
  return `127.${100 + (process.pid >> 16)}.${(process.pid >> 8) & 255}.${1 + ((process.pid & 255) % 254)}`
}
