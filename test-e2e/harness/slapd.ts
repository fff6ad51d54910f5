import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../deploy/local/free-port.ts'
import type { Teardown } from './server-process.ts'
import { startServer } from './server-process.ts'
import type { Authority } from './certificates.ts'
import { createAuthority } from './certificates.ts'
import { ensureCommands, findCommand } from './debian-packages.ts'
import { runCommand } from './run-command.ts'
import type { TestDirectory } from './test-directory.ts'
import { applyLdif, line, record, replace, sharedChanges } from './test-directory.ts'

export interface Slapd extends TestDirectory {
  /** The port without TLS, which offers StartTLS. */
  readonly plainPort: number
}

const BASE = 'dc=example,dc=org'
const USERS_DN = `ou=people,${BASE}`
const MANAGER = { dn: `cn=manager,${BASE}`, password: 'password-of-the-manager' }
const SERVICE = { dn: `cn=registry-manager,${BASE}`, password: 'password-of-the-service' }
const LOCKED_AFTER = 3

/** Returns the reason why OpenLDAP cannot run here, or false. */
export function slapdIsMissing(): Promise<string | false> {
  return ensureCommands({
    slapd: 'slapd',
    ldapmodify: 'ldap-utils',
    openssl: 'openssl',
    setpriv: 'util-linux',
  })
}

/** Starts OpenLDAP with users, groups (memberOf) and a password policy, on its own loopback ports. */
export async function startSlapd(scope: Teardown, given: { authority?: Authority } = {}): Promise<Slapd> {
  const folder = await mkdtemp(join(tmpdir(), 'slapd-'))
  scope.teardown(() => rm(folder, { recursive: true, force: true }))
  const authority = given.authority ?? (await createAuthority(folder))
  const certificate = await authority.issue('slapd', ['DNS:localhost', 'IP:127.0.0.1'])
  const config = join(folder, 'slapd.conf')
  await mkdir(join(folder, 'database'))
  await writeFile(config, configuration(folder, authority.file, certificate))
  await writeFile(join(folder, 'first.ldif'), FIRST_ENTRIES)
  const slapd = findCommand('slapd')!
  await runCommand(findCommand('slapadd')!, ['-f', config, '-l', join(folder, 'first.ldif')])

  const [host, port, plainPort] = ['127.0.0.1', await freePort(), await freePort()]
  const urls = `ldaps://${host}:${port} ldap://${host}:${plainPort}`
  // slapd stays in the foreground with a debug level.
  const args = ['-f', config, '-h', urls, '-d', 'none'] as const
  const { stop } = await startServer(scope, [slapd, ...args], { host, port, log: join(folder, 'log') })

  const apply = (ldif: string) => applyLdif(`ldap://${host}:${plainPort}`, MANAGER, ldif)
  const userDn = (username: string) => `uid=${username},${USERS_DN}`
  const groupDn = (name: string) => `cn=${name},ou=groups,${BASE}`
  // The object class requires a member.
  const groupLines = (name: string) => [
    'objectClass: groupOfNames',
    `cn: ${name}`,
    line('member', MANAGER.dn),
  ]
  return {
    host,
    port,
    plainPort,
    url: `ldaps://${host}:${port}`,
    caFile: authority.file,
    baseDn: BASE,
    service: SERVICE,
    lockedAfter: LOCKED_AFTER,
    userDn,
    groupDn,
    apply,
    stop,
    ...sharedChanges({ userDn, groupDn, apply, userRecord, groupLines }),
    setPassword: (username, password) => apply(replace(userDn(username), 'userPassword', password)),
    disable: (username) => apply(replace(userDn(username), 'pwdAccountLockedTime', '000001010000Z')),
    expire: (username) => apply(replace(userDn(username), 'pwdEndTime', '20200101000000Z')),
  }
}

/** Returns a user's LDIF record. */
export function userRecord(dn: string, username: string, password: string): string {
  return record(dn, [
    'changetype: add',
    'objectClass: inetOrgPerson',
    line('uid', username),
    line('cn', username),
    line('sn', username),
    line('userPassword', password),
  ])
}

function configuration(
  folder: string,
  authority: string,
  { certificateFile, keyFile }: { certificateFile: string; keyFile: string },
): string {
  return `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile ${join(folder, 'pid')}
TLSCACertificateFile ${authority}
TLSCertificateFile ${certificateFile}
TLSCertificateKeyFile ${keyFile}
database mdb
suffix "${BASE}"
rootdn "${MANAGER.dn}"
rootpw ${MANAGER.password}
directory ${join(folder, 'database')}
index objectClass,uid eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="${SERVICE.dn}" read by self read by users search by * none
overlay memberof
overlay ppolicy
ppolicy_default "cn=policy,${BASE}"
`
}

const FIRST_ENTRIES = `dn: ${BASE}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ${USERS_DN}
objectClass: organizationalUnit
ou: people

dn: ou=groups,${BASE}
objectClass: organizationalUnit
ou: groups

dn: ${SERVICE.dn}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: registry-manager
userPassword: ${SERVICE.password}

dn: cn=policy,${BASE}
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: ${LOCKED_AFTER}
pwdLockoutDuration: 600
`
