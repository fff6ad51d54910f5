import { X509Certificate } from 'node:crypto'
import { lstatSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { explainError } from '@registry-manager/http'
import { createAuthority, issueLeaf, replaceFile } from '@registry-manager/auth-service/embedding'
import { makeFolder } from '../own-files.ts'
import { findPairFault, servesHost } from './certificate-pair.ts'
import type { PairFiles } from './certificate-pair.ts'

const [AUTHORITY_YEARS, LEAF_YEARS] = [10, 1]
/** A certificate that expires sooner is renewed. */
const RENEW_DAYS = 30
/** Subject of our authorities. A certificate of another issuer belongs to the operator. */
const AUTHORITY_NAME = 'registry-manager stack authority'

/*
 * The folder of what HTTPS needs: `ca.crt` and `ca.key`, our authority, made once; `server.crt` and `server.key`,
 * renewed when they near their end or when other hosts are to be served. An operator may put a certificate of another
 * authority there: it is kept, and there is no authority of ours then.
 */
export interface TlsFiles extends PairFiles {
  /** Certificate file of our authority, which clients must trust. Only for a certificate that we issued. */
  readonly authority: string
  /** Whether we issued the certificate and renew it. */
  readonly isOurs: boolean
}

/**
 * Creates the files for HTTPS, unless they exist and are valid for these hosts. Replaces `server.crt` and `server.key`
 * only if our authority issued them. Throws an Error that names the file which cannot be served.
 */
export async function ensureTls(
  folder: string,
  hosts: readonly string[],
  now = new Date(),
): Promise<TlsFiles> {
  makeFolder(folder)
  const file = (name: string) => join(folder, name)
  const files = { certificate: file('server.crt'), key: file('server.key') }
  const authority = file('ca.crt')
  const soon = new Date(now.getTime() + RENEW_DAYS * 86_400_000)

  const isThere = exists(files.certificate) || exists(files.key)
  if (isThere && !isOurs(files.certificate, authority)) {
    requireUsable(files)
    return { ...files, authority, isOurs: false }
  }
  if (isThere) requireUsable(files)
  await ensureAuthority(folder, soon)
  const leaf = isThere ? read(files.certificate) : undefined
  if (leaf === undefined || leaf.validToDate <= soon || !hosts.every((host) => servesHost(leaf, host))) {
    const by = { certificate: readFileSync(authority, 'utf8'), key: readAuthorityKey(file('ca.key')) }
    const names = hosts.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }) as const)
    const made = await issueLeaf(by, { commonName: hosts[0] ?? '', years: LEAF_YEARS, hosts: names })
    await replaceFile(folder, 'server.key', made.key)
    await replaceFile(folder, 'server.crt', made.certificate)
  }
  return { ...files, authority, isOurs: true }
}

/** Returns whether our authority in the same folder issued the certificate. */
export function isOurs(certificate: string, authority: string): boolean {
  const [leaf, issuer] = [read(certificate), read(authority)]
  if (leaf === undefined || issuer === undefined) return false
  return (
    issuer.subject === `CN=${AUTHORITY_NAME}` && leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey)
  )
}

function requireUsable(files: PairFiles): void {
  const fault = findPairFault(files)
  if (fault === undefined) return
  throw new Error(`${fault}. Put a matching certificate and key there, or remove both files to get new ones`)
}

/** Creates the authority if there is none. Never replaces one, because clients trust it. */
async function ensureAuthority(folder: string, soon: Date): Promise<void> {
  const [certificate, key] = [join(folder, 'ca.crt'), join(folder, 'ca.key')]
  const authority = read(certificate)
  if (authority === undefined) {
    const present = [certificate, key].find(exists)
    if (present !== undefined) {
      throw new Error(
        `${present} exists, but ${certificate} is not a certificate: restore it, or remove ${present} to ` +
          'get a new authority, which clients must trust then',
      )
    }
    const made = await createAuthority(AUTHORITY_NAME, AUTHORITY_YEARS)
    await replaceFile(folder, 'ca.key', made.key)
    await replaceFile(folder, 'ca.crt', made.certificate)
  } else if (authority.subject !== `CN=${AUTHORITY_NAME}`) {
    throw new Error(
      `${certificate} is an authority that registry-manager did not create, and server.crt and server.key are ` +
        `missing in its folder: add both files, or remove ${certificate} to get a generated authority`,
    )
  } else if (authority.validToDate < soon) {
    throw new Error(
      `${certificate} expires on ${authority.validTo}: remove ${folder}, and have clients trust the new authority`,
    )
  }
}

function readAuthorityKey(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(
      `server.crt must be renewed, and the authority's key cannot be read: ${explainError(error)}`,
      { cause: error },
    )
  }
}

/** Returns whether a name is taken, even by a dangling symbolic link. */
function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}

function read(file: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(file))
  } catch {
    return undefined
  }
}
