import type { KeyObject } from 'node:crypto'
import { X509Certificate, createHash, createPrivateKey, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Jwks } from '@registry-manager/principal'
import type { Static } from 'typebox'
import type { SignedClaims } from './claims.ts'

/**
 * The folder of signing keys. Each file is replaced atomically, and a rotation replaces them in an order in which every
 * intermediate state is a valid set, so a reader never sees a broken one.
 */
export const KEY_FILES = {
  /** Certificate of our authority: the registry's `rootcertbundle`. */
  authority: 'ca.pem',
  /** The authority's private key: needed to rotate, not to serve. */
  authorityKey: 'ca-key.pem',
  /** Key and certificate that sign access tokens. */
  current: 'current.pem',
  /** The same of the next key, which is published in advance. */
  next: 'next.pem',
  /** The same of the previous key, which stays published until its access tokens have expired. */
  retired: 'retired.pem',
} as const

type JwksKey = Static<typeof Jwks>['keys'][number]

/** A public key in the JWKS. Source: RFC 7517 §4; RFC 7518 §6.2. */
export interface PublicJwk extends JwksKey {
  readonly alg: 'ES256'
  readonly use: 'sig'
}

export interface SigningKeys {
  /** Signs with the current key and returns a JWT in the compact serialization. */
  sign(claims: SignedClaims): Promise<string>
  /** The public keys of the current, next and retired keys. */
  publicKeys(): readonly PublicJwk[]
  /** Returns a public key by its key id, PEM. */
  findKey(kid: string): string | undefined
  /** The authority's certificate, PEM. */
  authority(): string
  /** The key id of the current key. */
  currentKeyId(): string
  /** The key id of the retired key; undefined before the first rotation. */
  retiredKeyId(): string | undefined
  /** When the current key's certificate expires. */
  currentEndsAt(): Date
  /** Reads the folder again. Throws when a file is bad; the previous set then stays in force. */
  reload(): Promise<void>
}

interface KeySet {
  readonly authority: string
  readonly current: SigningKey
  readonly retired: SigningKey | undefined
  readonly byId: ReadonlyMap<string, SigningKey>
  readonly sign: (claims: SignedClaims) => Promise<string>
}

interface SigningKey {
  readonly kid: string
  readonly certificate: X509Certificate
  readonly privateKey: KeyObject
  readonly publicPem: string
  readonly jwk: PublicJwk
}

/** Loads the signing keys of a folder. The error names the file that is missing or bad. */
export async function loadSigningKeys(folder: string): Promise<SigningKeys> {
  let keys = await readKeySet(folder)
  return {
    sign: (claims) => keys.sign(claims),
    publicKeys: () => [...keys.byId.values()].map(({ jwk }) => jwk),
    findKey: (kid) => keys.byId.get(kid)?.publicPem,
    authority: () => keys.authority,
    currentKeyId: () => keys.current.kid,
    retiredKeyId: () => keys.retired?.kid,
    currentEndsAt: () => keys.current.certificate.validToDate,
    reload: async () => {
      keys = await readKeySet(folder)
    },
  }
}

/**
 * libtrust's key id: base32 of the first 30 bytes of the SHA-256 of the public key (DER, SPKI), in groups of four
 * joined by colons. Source: distribution, token specification, `kid`.
 */
export function libtrustKeyId(publicKey: KeyObject): string {
  const digest = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
  return (base32(digest.subarray(0, 30)).match(/.{4}/g) ?? []).join(':')
}

async function readKeySet(folder: string): Promise<KeySet> {
  const authority = await readFile(join(folder, KEY_FILES.authority), 'utf8')
  const current = await readSigningKey(folder, KEY_FILES.current)
  const next = await readSigningKey(folder, KEY_FILES.next)
  const retired = await readSigningKey(folder, KEY_FILES.retired).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  const all = [current, next, ...(retired === undefined ? [] : [retired])]
  const byId = new Map(all.map((key) => [key.kid, key]))
  return { authority, current, retired, byId, sign: createSigner(current) }
}

const signInThreadPool = promisify(sign)

/**
 * A signer of JWTs with one key; the key's certificate is in the header (`x5c`). libuv's thread pool computes the
 * signature, so the event loop stays free and signing scales with the cores. Source: RFC 7515 §3.1, §4.1; RFC 7518
 * §3.4.
 */
function createSigner({ kid, certificate, privateKey }: SigningKey) {
  const x5c = [certificate.raw.toString('base64')]
  const header = base64Url({ alg: 'ES256', typ: 'JWT', kid, x5c })
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  return async (claims: SignedClaims): Promise<string> => {
    const input = `${header}.${base64Url(claims)}`
    const signature = await signInThreadPool('sha256', Buffer.from(input), key)
    return `${input}.${signature.toString('base64url')}`
  }
}

function base64Url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

async function readSigningKey(folder: string, name: string): Promise<SigningKey> {
  const pem = await readFile(join(folder, name), 'utf8')
  try {
    const certificate = new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')))
    const privateKey = createPrivateKey(pem)
    if (!certificate.checkPrivateKey(privateKey))
      throw new Error('the private key does not match the certificate')
    const kid = libtrustKeyId(certificate.publicKey)
    const jwk = certificate.publicKey.export({ format: 'jwk' })
    return {
      kid,
      certificate,
      privateKey,
      publicPem: certificate.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      jwk: { kid, kty: 'EC', crv: 'P-256', x: jwk.x ?? '', y: jwk.y ?? '', alg: 'ES256', use: 'sig' },
    }
  } catch (cause) {
    throw new Error(`${join(folder, name)} must hold a signing key and its certificate (PEM)`, { cause })
  }
}

/** Source: RFC 4648 §6; 30 bytes need no padding. */
function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const groups = bits.match(/.{5}/g) ?? []
  return groups.map((group) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(group, 2)]).join('')
}
