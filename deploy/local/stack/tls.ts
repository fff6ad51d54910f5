import { X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { createAuthority, issueLeaf, replaceFile } from '@registry-manager/auth-service/embedding'

const [AUTHORITY_YEARS, LEAF_YEARS] = [10, 1]
/** A certificate that ends sooner than this is made anew at a start. */
const RENEW_DAYS = 30

/*
 * The folder of what HTTPS needs: `ca.crt` and `ca.key`, the authority, made once; `server.crt` and `server.key`,
 * made anew when they near their end or when other hosts are to be served.
 */
export interface TlsFiles {
  /** What clients are to trust. */
  readonly authority: string
  readonly certificate: string
  readonly key: string
}

/** Makes what HTTPS needs, unless it is there and good for these hosts. Answers the files. */
export async function ensureTls(
  folder: string,
  hosts: readonly string[],
  now = new Date(),
): Promise<TlsFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = (name: string) => join(folder, name)
  const files = { authority: file('ca.crt'), certificate: file('server.crt'), key: file('server.key') }
  const soon = new Date(now.getTime() + RENEW_DAYS * 86_400_000)

  const authority = read(files.authority)
  if (authority === undefined) {
    const made = await createAuthority('registry-manager stack authority', AUTHORITY_YEARS)
    await replaceFile(folder, 'ca.key', made.key)
    await replaceFile(folder, 'ca.crt', made.certificate)
  } else if (authority.validToDate < soon) {
    throw new Error(
      `${files.authority} ends on ${authority.validTo}: remove ${folder}, and give clients the new one`,
    )
  }

  const leaf = read(files.certificate)
  const issuer = read(files.authority)
  const isGood = leaf && issuer && leaf.validToDate > soon && leaf.checkIssued(issuer)
  if (!isGood || !hosts.every((host) => serves(leaf, host))) {
    const by = {
      certificate: readFileSync(files.authority, 'utf8'),
      key: readFileSync(file('ca.key'), 'utf8'),
    }
    const names = hosts.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }) as const)
    const made = await issueLeaf(by, { commonName: hosts[0] ?? '', years: LEAF_YEARS, hosts: names })
    await replaceFile(folder, 'server.key', made.key)
    await replaceFile(folder, 'server.crt', made.certificate)
  }
  return files
}

function serves(certificate: X509Certificate, host: string): boolean {
  return (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined
}

function read(file: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(file))
  } catch {
    return undefined
  }
}
