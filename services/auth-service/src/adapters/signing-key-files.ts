import { webcrypto } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs it, and before itself.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'

/*
 * The folder of signing keys. Each file is replaced whole, and every order of replacement that a rotation
 * goes through is a good set, so a reader never sees half of one:
 *   ca.pem           certificate of our authority: the registry's `rootcertbundle`
 *   ca-key.pem       its key: needed to rotate, not to serve
 *   current.pem      key and certificate that tokens are signed with
 *   next.pem         the same, of the key that comes after it; published already
 *   retired.pem      the one before; published until its tokens have expired
 */
export const KEY_FILES = {
  authority: 'ca.pem',
  authorityKey: 'ca-key.pem',
  current: 'current.pem',
  next: 'next.pem',
  retired: 'retired.pem',
} as const

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const [AUTHORITY_YEARS, LEAF_YEARS] = [10, 1]

x509.cryptoProvider.set(webcrypto as Crypto)

/** Makes an authority, a current and a next key in a folder that has none. Answers whether it did. */
export async function createSigningKeys(folder: string): Promise<boolean> {
  if (existsSync(join(folder, KEY_FILES.current))) return false
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const keys = await generateKeys()
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=registry-manager token authority',
    ...validity(AUTHORITY_YEARS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  await replaceFile(folder, KEY_FILES.authorityKey, await privatePem(keys))
  await replaceFile(folder, KEY_FILES.authority, authority.toString('pem'))
  await replaceFile(folder, KEY_FILES.next, await issueLeaf(folder))
  await replaceFile(folder, KEY_FILES.current, await issueLeaf(folder))
  return true
}

/**
 * Moves every key on by one: current becomes retired, next becomes current, a new one next. Running services
 * notice by themselves; wait for a token's life between two rotations, or the first one's tokens end early.
 */
export async function rotateSigningKeys(folder: string): Promise<void> {
  const [current, next] = await Promise.all(
    [KEY_FILES.current, KEY_FILES.next].map((name) => readFile(join(folder, name), 'utf8')),
  )
  const coming = await issueLeaf(folder)
  await replaceFile(folder, KEY_FILES.retired, current ?? '')
  await replaceFile(folder, KEY_FILES.current, next ?? '')
  await replaceFile(folder, KEY_FILES.next, coming)
}

async function issueLeaf(folder: string): Promise<string> {
  const authority = new x509.X509Certificate(await readFile(join(folder, KEY_FILES.authority), 'utf8'))
  const der = x509.PemConverter.decodeFirst(await readFile(join(folder, KEY_FILES.authorityKey), 'utf8'))
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign'])
  const keys = await generateKeys()
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: 'CN=registry-manager token signer',
    issuer: authority.subject,
    ...validity(LEAF_YEARS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: signingKey as CryptoKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
    ],
  })
  return `${await privatePem(keys)}\n${leaf.toString('pem')}\n`
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
}

async function privatePem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return x509.PemConverter.encode(der, 'PRIVATE KEY')
}

function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16))
  // A serial number is a positive integer: the first bit stays clear.
  bytes[0] = (bytes[0] ?? 0) & 0x7f
  return Buffer.from(bytes).toString('hex')
}

function validity(years: number): { notBefore: Date; notAfter: Date } {
  const now = new Date()
  const notAfter = new Date(now)
  notAfter.setFullYear(now.getFullYear() + years)
  // Clocks differ: what was made this minute is valid on a machine that is a little behind.
  return { notBefore: new Date(now.getTime() - 3600_000), notAfter }
}

async function replaceFile(folder: string, name: string, content: string): Promise<void> {
  const temporary = join(folder, `.${name}.${process.pid}`)
  await writeFile(temporary, content, { mode: 0o600 })
  await rename(temporary, join(folder, name))
}
