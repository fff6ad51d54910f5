import { join } from 'node:path'
import { explainError } from '@registry-manager/http'
import type { PairFiles } from './certificate-pair.ts'
import { digestOfPair, findCertificateWarnings, findPairFault } from './certificate-pair.ts'
import { ensureTls } from './tls.ts'

/** How often the files are compared, in milliseconds. A renewed certificate is to be served within 15 s. */
const LOOK_MS = 5000
/** How often a certificate of ours is checked for its end, in milliseconds. */
const RENEW_MS = 12 * 3_600_000

export interface ServedCertificate extends PairFiles {
  /** The file of our authority, for clients to trust; undefined for an operator's own certificate. */
  readonly authority: string | undefined
}

export interface CertificateOptions {
  readonly dataDir: string
  readonly publicUrl: string
  /** The operator's own files, from the settings. */
  readonly ownCertificate: PairFiles | undefined
}

/**
 * The certificate that the stack serves: of the settings, or of `tls` in the data folder, where ours is made unless
 * there is another. Throws an Error naming the file that nginx could not use.
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
 * Renews a certificate of ours in time, and reloads nginx when the files changed and fit each other. While they do not
 * (a key is written before its certificate), nginx keeps serving the old one. Returns what ends it.
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
    // Files that are being replaced may fail to fit each other at one look, not at two.
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
