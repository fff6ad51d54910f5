import { X509Certificate, createPublicKey, verify } from 'node:crypto'
import { chmod, copyFile, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { issueLeaf } from '../../src/access-tokens/certificates.ts'
import {
  createSigningKeys,
  replaceSigningKeys,
  rotateSigningKeys,
} from '../../src/access-tokens/signing-key-files.ts'
import type { SigningKeys } from '../../src/access-tokens/signing-keys.ts'
import { libtrustKeyId, loadSigningKeys } from '../../src/access-tokens/signing-keys.ts'
import type { SignedClaims } from '../../src/access-tokens/claims.ts'

const claims = { iss: 'i', sub: 'alice', aud: 'a', exp: 3, nbf: 1, iat: 2, jti: 'j', access: null }

async function build(t: Test) {
  const folder = t.testdir()
  await createSigningKeys(folder)
  return { folder, keys: await loadSigningKeys(folder) }
}

const headerOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())

/** Whether an access token's signature is valid for the key that its header names. */
function verifies(keys: SigningKeys, token: string): boolean {
  const [header, payload, signature = ''] = token.split('.')
  const key = keys.findKey(headerOf(token).kid)
  if (key === undefined) return false
  const input = Buffer.from(`${header}.${payload}`)
  return verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
}

/** Two keys of a Docker Trusted Registry with their ids (seed 003). */
const LIBTRUST = [
  {
    kid: 'NNZX:KH7V:FBJT:4BAH:WEYL:F2V4:RHWJ:ADF3:UAAE:7JEP:6TAU:FCAO',
    x: 'zAXADI9g12Lu5mc1PoeYg5os_e2x6Cq99QZRC1ANfNs',
    y: 'ySbGwOY-jllY2uj6uIkMw9rnRf-XSDMKi_6Y36hKr60',
  },
  {
    kid: 'LDGX:VCCH:O36I:BTIZ:VU4Z:7UIW:OCOG:UDFA:LMVH:GJBQ:NTLY:ZITJ',
    x: 'mii7zsB5a-wzuxh7q1D-ngdE-qsr_zuG7fx-r_XZ4fw',
    y: 'tkXiuXUa5HoavLxNwUQqKM5IeW-Q4A62Kun68nkYcFY',
  },
]

t.test("key ids have libtrust's form", async (t) => {
  for (const { kid, x, y } of LIBTRUST) {
    const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
    t.equal(libtrustKeyId(publicKey), kid)
  }
})

t.test('a new folder has an authority, a current key and a next key', async (t) => {
  const { folder, keys } = await build(t)
  const files = (await readdir(folder)).toSorted()
  t.same(files, ['ca-key.pem', 'ca.pem', 'current.pem', 'next.pem'])
  for (const file of files)
    t.equal((await stat(join(folder, file))).mode & 0o077, 0, `only the owner may read ${file}`)
  t.equal(keys.publicKeys().length, 2, 'the next key is published already')
  for (const jwk of keys.publicKeys()) {
    t.match(jwk, {
      kid: /^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$/,
      kty: 'EC',
      crv: 'P-256',
      alg: 'ES256',
      use: 'sig',
    })
    t.same(
      Object.keys(jwk).toSorted(),
      ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
      'there is no private part',
    )
    t.equal(libtrustKeyId(createPublicKey({ key: { ...jwk }, format: 'jwk' })), jwk.kid)
  }
  t.equal(await createSigningKeys(folder), false, 'existing keys are not replaced')
  t.same((await loadSigningKeys(folder)).publicKeys(), keys.publicKeys())
})

t.test('an access token names its key, and its certificate chains to the authority', async (t) => {
  const { keys } = await build(t)
  const token = await keys.sign(claims as SignedClaims)
  const { x5c, kid, ...header } = headerOf(token)
  t.strictSame(header, { alg: 'ES256', typ: 'JWT' })
  t.equal(verifies(keys, token), true)
  t.equal(x5c.length, 1)
  const leaf = new X509Certificate(Buffer.from(x5c[0], 'base64'))
  const authority = new X509Certificate(keys.authority())
  t.equal(leaf.verify(authority.publicKey), true)
  t.equal(leaf.checkIssued(authority), true)
  t.equal(libtrustKeyId(leaf.publicKey), kid)
  t.equal(leaf.ca, false, 'a leaf cannot issue certificates')
  t.equal(authority.ca, true)
  t.equal(authority.verify(authority.publicKey), true)
  t.ok(authority.validToDate > leaf.validToDate, 'the authority outlives its leaf')
  t.equal(keys.currentEndsAt().getTime(), leaf.validToDate.getTime())
  const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  t.strictSame(payload, claims, 'the claims are unchanged')
})

t.test('a rotation promotes the next key and keeps the previous one published', async (t) => {
  const { folder, keys } = await build(t)
  const [before, authority] = [await keys.sign(claims as SignedClaims), keys.authority()]
  const [, next] = keys.publicKeys()
  await rotateSigningKeys(folder)
  t.equal(
    headerOf(await keys.sign(claims as SignedClaims)).kid,
    headerOf(before).kid,
    'nothing changes before a reload',
  )
  await keys.reload()
  const after = await keys.sign(claims as SignedClaims)
  t.equal(headerOf(after).kid, next?.kid, 'the next key signs now; it was published before')
  t.equal(keys.publicKeys().length, 3)
  t.equal(verifies(keys, before), true, 'access tokens of the previous key stay valid')
  t.equal(verifies(keys, after), true)
  t.equal(keys.authority(), authority, 'the authority stays, so the registry needs no restart')

  await rotateSigningKeys(folder)
  await keys.reload()
  t.equal(verifies(keys, before), false, 'access tokens end with the second rotation')
  t.equal(verifies(keys, after), true)
  t.same((await readdir(folder)).toSorted(), [
    'ca-key.pem',
    'ca.pem',
    'current.pem',
    'next.pem',
    'retired.pem',
  ])
})

t.test('a rotation issues a new certificate for the key that it promotes', async (t) => {
  const { folder, keys } = await build(t)
  const authority = {
    certificate: await readFile(join(folder, 'ca.pem'), 'utf8'),
    key: await readFile(join(folder, 'ca-key.pem'), 'utf8'),
  }
  const ended = await issueLeaf(authority, { commonName: 'a signer', years: 0 })
  await writeFile(join(folder, 'next.pem'), `${ended.key}\n${ended.certificate}\n`)
  await keys.reload()
  const [, next] = keys.publicKeys()
  await rotateSigningKeys(folder)
  await keys.reload()
  const token = await keys.sign(claims as SignedClaims)
  t.equal(headerOf(token).kid, next?.kid, 'the key was published before')
  t.equal(verifies(keys, token), true)
  t.ok(keys.currentEndsAt().getTime() > Date.now() + 364 * 86_400_000)
  const leaf = new X509Certificate(Buffer.from(headerOf(token).x5c[0], 'base64'))
  t.equal(leaf.verify(new X509Certificate(keys.authority()).publicKey), true)
})

t.test('a replacement removes all stolen keys', async (t) => {
  const { folder, keys } = await build(t)
  await rotateSigningKeys(folder)
  await keys.reload()
  const [stolen, before, authority] = [
    keys.publicKeys(),
    await keys.sign(claims as SignedClaims),
    keys.authority(),
  ]
  t.equal(stolen.length, 3)
  await replaceSigningKeys(folder)
  await keys.reload()
  for (const { kid } of stolen) t.equal(keys.findKey(kid), undefined)
  t.equal(verifies(keys, before), false)
  const after = await keys.sign(claims as SignedClaims)
  t.equal(verifies(keys, after), true)
  t.equal(keys.publicKeys().length, 2, 'a current and a next key')
  t.equal(keys.authority(), authority)
  await rotateSigningKeys(folder)
  await keys.reload()
  t.equal(verifies(keys, after), true, 'the new keys can be rotated')
})

t.test('new keys have the file mode of the current key', async (t) => {
  const { folder } = await build(t)
  await chmod(join(folder, 'current.pem'), 0o644)
  for (const change of [rotateSigningKeys, replaceSigningKeys]) {
    await change(folder)
    for (const name of ['retired.pem', 'current.pem', 'next.pem']) {
      t.equal((await stat(join(folder, name))).mode & 0o777, 0o644, name)
    }
  }
  t.equal(
    (await stat(join(folder, 'ca-key.pem'))).mode & 0o777,
    0o600,
    "the mode of the authority's key stays",
  )
})

t.test('an interrupted rotation leaves a valid set, and can be repeated', async (t) => {
  const { folder, keys } = await build(t)
  const before = await keys.sign(claims as SignedClaims)
  const [path, pathOfNext] = [join(folder, 'current.pem'), join(folder, 'next.pem')]
  await copyFile(path, join(folder, 'retired.pem'))
  await keys.reload()
  t.equal(verifies(keys, before), true, 'after its first step')
  await copyFile(pathOfNext, path)
  await keys.reload()
  t.equal(verifies(keys, before), true, 'after its second step')
  t.equal(verifies(keys, await keys.sign(claims as SignedClaims)), true)
  await rotateSigningKeys(folder)
  await keys.reload()
  t.equal(verifies(keys, await keys.sign(claims as SignedClaims)), true)
})

t.test('a missing file is named in the error', async (t) => {
  for (const file of ['ca.pem', 'current.pem', 'next.pem']) {
    const { folder } = await build(t)
    await rm(join(folder, file))
    await t.rejects(loadSigningKeys(folder), { message: file }, file)
  }
  await t.rejects(loadSigningKeys(join(t.testdir(), 'nowhere')), { message: 'nowhere' })
})

t.test('an unreadable set leaves the previous keys in use', async (t) => {
  const { folder, keys } = await build(t)
  const path = join(folder, 'current.pem')
  const good = await readFile(path, 'utf8')
  const { kid } = headerOf(await keys.sign(claims as SignedClaims))
  const other = await readFile(join(folder, 'next.pem'), 'utf8')
  const BAD: readonly (readonly [why: string, pem: string])[] = [
    ['an empty file', ''],
    ['half a file', good.slice(0, good.length / 2)],
    ['a certificate without its key', good.slice(good.indexOf('-----BEGIN CERTIFICATE'))],
    ['a key without its certificate', good.slice(0, good.indexOf('-----BEGIN CERTIFICATE'))],
    [
      "a key with another one's certificate",
      good.slice(0, good.indexOf('-----BEGIN CERTIFICATE')) +
        other.slice(other.indexOf('-----BEGIN CERTIFICATE')),
    ],
    ['no PEM', 'hello'],
  ]
  for (const [why, pem] of BAD) {
    await writeFile(path, pem)
    await t.rejects(keys.reload(), { message: 'current.pem' }, why)
    t.equal(headerOf(await keys.sign(claims as SignedClaims)).kid, kid, 'the previous key still signs')
    t.equal(keys.publicKeys().length, 2)
  }
  await rm(path)
  await t.rejects(keys.reload(), { message: 'current.pem' }, 'no file')
  await writeFile(path, good)
  await keys.reload()
  await writeFile(join(folder, 'retired.pem'), 'hello')
  await t.rejects(keys.reload(), { message: 'retired.pem' }, 'a bad retired key')
  t.equal(verifies(keys, await keys.sign(claims as SignedClaims)), true)
})
