import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto'
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs reflect-metadata loaded first.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
/** Source: RFC 5280 §4.2.1.12, id-kp-serverAuth. */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

x509.cryptoProvider.set(webcrypto as Crypto)

/** A certificate and its private key, both PEM. */
export interface Certified {
  readonly certificate: string
  readonly key: string
}

export interface LeafOptions {
  readonly commonName: string
  readonly years: number
  /** Host names and IP addresses of a TLS server. A certificate without any is for signatures only. */
  readonly hosts?: readonly { readonly type: 'dns' | 'ip'; readonly value: string }[]
  /** The private key to certify, PEM; a new one when left out. */
  readonly key?: string
}

/** Makes a certificate authority. Its certificates cannot sign others (path length 0). */
export async function createAuthority(commonName: string, years: number): Promise<Certified> {
  const keys = await generateKeys()
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${commonName}`,
    ...validity(years),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: authority.toString('pem'), key: await privatePem(keys) }
}

/** Makes a certificate, signed by the authority, for a given key or a new one. */
export async function issueLeaf(
  by: Certified,
  { commonName, years, hosts, key }: LeafOptions,
): Promise<Certified> {
  const authority = new x509.X509Certificate(by.certificate)
  const der = x509.PemConverter.decodeFirst(by.key)
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign'])
  const keys = key === undefined ? await generateKeys() : await importKeys(key)
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${commonName}`,
    issuer: authority.subject,
    ...validity(years),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: signingKey as CryptoKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
      ...(hosts === undefined
        ? []
        : [
            new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
            new x509.SubjectAlternativeNameExtension([...hosts]),
          ]),
    ],
  })
  return { certificate: leaf.toString('pem'), key: await privatePem(keys) }
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
}

async function importKeys(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPrivateKey(pem)
  return {
    privateKey: key.toCryptoKey(ALGORITHM, true, ['sign']),
    publicKey: createPublicKey(key).toCryptoKey(ALGORITHM, true, ['verify']),
  }
}

async function privatePem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return x509.PemConverter.encode(der, 'PRIVATE KEY')
}

function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16))
  // RFC 5280 §4.1.2.2: a serial number is a positive integer, so the first bit stays clear.
  bytes[0] = (bytes[0] ?? 0) & 0x7f
  return Buffer.from(bytes).toString('hex')
}

function validity(years: number): { notBefore: Date; notAfter: Date } {
  const now = new Date()
  const notAfter = new Date(now)
  notAfter.setFullYear(now.getFullYear() + years)
  // A machine whose clock is behind must accept a certificate that was made just now.
  return { notBefore: new Date(now.getTime() - 3600_000), notAfter }
}
