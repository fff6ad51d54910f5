import type { KeyObject } from 'node:crypto'
import { X509Certificate, createHash, createPrivateKey, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { SignedClaims } from './claims.ts'
import { KEY_FILES } from './key-files.ts'

/** A public key as the JWKS shows it. Source: RFC 7517 §4; RFC 7518 §6.2. */
export interface PublicJwk {
  readonly kid: string
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  readonly alg: 'ES256'
  readonly use: 'sig'
}

export interface SigningKeys {
  /** Signs with the current key; a JWT in the compact form. */
  sign(claims: SignedClaims): Promise<string>
  /** The public keys of the current, next and retired keys. */
  publicKeys(): readonly PublicJwk[]
  /** PEM of a public key by its id. */
  findKey(kid: string): string | undefined
  /** The authority's certificate, PEM. */
  authority(): string
  /** When the current key's certificate ends. */
  currentEndsAt(): Date
  /** Reads the folder again. A set that cannot be read leaves the last one in force, and throws. */
  reload(): Promise<void>
}

interface KeySet {
  readonly authority: string
  readonly current: SigningKey
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

/** Loads the signing keys of a folder. Throws naming the file that is missing or wrong. */
export async function loadSigningKeys(folder: string): Promise<SigningKeys> {
  let keys = await readKeySet(folder)
  return {
    sign: (claims) => keys.sign(claims),
    publicKeys: () => [...keys.byId.values()].map(({ jwk }) => jwk),
    findKey: (kid) => keys.byId.get(kid)?.publicPem,
    authority: () => keys.authority,
    currentEndsAt: () => keys.current.certificate.validToDate,
    reload: async () => {
      keys = await readKeySet(folder)
    },
  }
}

/**
 * libtrust's key id: base32 of the first 30 bytes of the SHA-256 of the public key (DER, SPKI), in groups
 * of four joined by colons. Source: distribution, token specification, `kid`.
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
  return { authority, current, byId: new Map(all.map((key) => [key.kid, key])), sign: createSigner(current) }
}

const signBesides = promisify(sign)

/**
 * A signer of JWTs with one key, whose certificate travels with them. The signature is made on a thread of its own:
 * nobody else waits for it, and tokens come as fast as there are cores. Source: RFC 7515 §3.1, §4.1; RFC 7518 §3.4.
 */
function createSigner({ kid, certificate, privateKey }: SigningKey) {
  const x5c = [certificate.raw.toString('base64')]
  const header = base64Url({ alg: 'ES256', typ: 'JWT', kid, x5c })
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  return async (claims: SignedClaims): Promise<string> => {
    const input = `${header}.${base64Url(claims)}`
    const signature = await signBesides('sha256', Buffer.from(input), key)
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
    if (!certificate.checkPrivateKey(privateKey)) throw new Error('its key is not its certificate’s')
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
    throw new Error(`${join(folder, name)} is not a signing key with its certificate`, { cause })
  }
}

/** Source: RFC 4648 §6; 30 bytes need no padding. */
function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const groups = bits.match(/.{5}/g) ?? []
  return groups.map((group) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(group, 2)]).join('')
}
