import { join } from 'node:path'
import { explainError } from '@registry-manager/http'
import type { PairFiles } from './certificate-pair.ts'
import { digestOfPair, findCertificateWarnings, findPairFault } from './certificate-pair.ts'
import { ensureTls } from './tls.ts'

/** Interval of checks for changed files, in milliseconds. nginx serves a renewed certificate within 15 s. */
const LOOK_MS = 5000
/** Interval of checks whether our own certificate expires soon, in milliseconds. */
const RENEW_MS = 12 * 3_600_000

export interface ServedCertificate extends PairFiles {
  /** Certificate file of our authority, which clients must trust; undefined for an operator's certificate. */
  readonly authority: string | undefined
}

export interface CertificateOptions {
  readonly dataDir: string
  readonly publicUrl: string
  /** The operator's files, TLS_CERTIFICATE and TLS_CERTIFICATE_KEY. */
  readonly ownCertificate: PairFiles | undefined
}

/**
 * Finds the certificate that the stack serves: that of the settings, or that of `tls` in the data folder. Creates one
 * there if there is none. Throws an Error that names the file which nginx cannot use.
 */
export async function findCertificate(
  options: CertificateOptions,
  say: (line: string) => void,
): Promise<ServedCertificate> {
  const { dataDir, publicUrl, ownCertificate } = options
  const host = hostOf(publicUrl)
  const warn = (file: string) => {
    for (const line of findCertificateWarnings(file, host)) say(`warning: ${line}`)
  }
  if (ownCertificate !== undefined) {
    const fault = findPairFault(ownCertificate)
    if (fault !== undefined) throw new Error(`TLS_CERTIFICATE or TLS_CERTIFICATE_KEY: ${fault}`)
    warn(ownCertificate.certificate)
    return { ...ownCertificate, authority: undefined }
  }
  const { certificate, key, authority, isOurs } = await ensureTls(join(dataDir, 'tls'), hostsOf(host))
  if (!isOurs) warn(certificate)
  return { certificate, key, authority: isOurs ? authority : undefined }
}

/**
 * Renews our own certificate before it expires, and reloads nginx when the files changed and match. While they do not
 * match (a key is written before its certificate) nginx serves the old certificate. Returns a function that stops it.
 */
export function watchCertificate(
  options: CertificateOptions,
  served: PairFiles,
  { say, reload, lookMs = LOOK_MS }: { say(line: string): void; reload(): void; lookMs?: number },
): () => void {
  let known = digestOfPair(served)
  let faultyLooks = 0
  const look = () => {
    const now = digestOfPair(served)
    const fault = now === known ? undefined : findPairFault(served)
    faultyLooks = fault === undefined ? 0 : faultyLooks + 1
    // Files that are being replaced may mismatch at one check, not at two.
    if (faultyLooks === 2) say(`the changed TLS certificate is not loaded: ${fault}`)
    if (now === known || fault !== undefined) return
    known = now
    reload()
    say(`the TLS certificate changed: nginx serves the new ${served.certificate}`)
  }
  const renew = async () => {
    try {
      await findCertificate(options, () => {})
    } catch (error) {
      say(`the TLS certificate cannot be renewed: ${explainError(error)}`)
    }
  }
  const looking = setInterval(look, lookMs)
  const renewing = setInterval(() => void renew(), RENEW_MS)
  return () => {
    clearInterval(looking)
    clearInterval(renewing)
  }
}

function hostOf(publicUrl: string): string {
  return new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1')
}

function hostsOf(host: string): string[] {
  return [...new Set([host, 'localhost', '127.0.0.1'])]
}
