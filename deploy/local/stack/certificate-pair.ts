import { X509Certificate, createHash, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { explainError } from '@registry-manager/http'

/** The files of a certificate with its chain (PEM) and of its private key (PEM). */
export interface PairFiles {
  readonly certificate: string
  readonly key: string
}

/**
 * Returns why nginx cannot serve HTTPS with these files, in one line that names the file; undefined if it can.
 */
export function findPairFault({ certificate, key }: PairFiles): string | undefined {
  let leaf: X509Certificate
  try {
    leaf = new X509Certificate(readFileSync(certificate))
  } catch (error) {
    return `${certificate} is not a readable PEM certificate: ${explainError(error)}`
  }
  try {
    const privateKey = createPrivateKey(readFileSync(key))
    return leaf.checkPrivateKey(privateKey) ? undefined : `${key} is not the private key of ${certificate}`
  } catch (error) {
    return `${key} is not a readable PEM private key without a passphrase: ${explainError(error)}`
  }
}

/** Returns warnings about a certificate that clients will refuse: wrong dates, or a missing host. */
export function findCertificateWarnings(file: string, host: string, now = new Date()): readonly string[] {
  const leaf = new X509Certificate(readFileSync(file))
  const warnings: string[] = []
  if (leaf.validToDate < now) warnings.push(`${file} expired on ${leaf.validTo}`)
  if (leaf.validFromDate > now) warnings.push(`${file} is valid only from ${leaf.validFrom}`)
  if (!servesHost(leaf, host)) {
    warnings.push(`${file} is not valid for ${host}, only for ${leaf.subjectAltName ?? 'no host'}`)
  }
  return warnings
}

/** Returns whether a certificate is valid for a host name or an IP address. Source: RFC 6125. */
export function servesHost(certificate: X509Certificate, host: string): boolean {
  return (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined
}

/** Returns a digest over both files; undefined while one of them cannot be read. */
export function digestOfPair({ certificate, key }: PairFiles): string | undefined {
  try {
    return createHash('sha256').update(readFileSync(certificate)).update(readFileSync(key)).digest('hex')
  } catch {
    return undefined
  }
}
