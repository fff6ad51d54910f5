import { createHmac, createSign, generateKeyPairSync, sign } from 'node:crypto'
import t from 'tap'
import { createTokenVerifier } from '../src/token-verifier.ts'

const makePair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const [ours, foreign, large] = [makePair(), makePair(), generateKeyPairSync('ec', { namedCurve: 'P-384' })]
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PEM = ours.publicKey.export({ type: 'spki', format: 'pem' }).toString()
const KID = 'AAAA:BBBB'
const now = () => Math.floor(Date.now() / 1000)

const verify = createTokenVerifier({
  issuer: 'registry.example',
  audience: 'registry.example',
  findKey: async (kid) => (kid === KID ? PEM : undefined),
})

const HEADER = { typ: 'JWT', alg: 'ES256', kid: KID }
const claims = () => ({
  iss: 'registry.example',
  sub: 'alice',
  uid: '0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11',
  gen: 3,
  aud: 'registry.example',
  exp: now() + 300,
  nbf: now() - 30,
  iat: now(),
  jti: 'one',
  access: [{ type: 'repository', name: 'a', actions: ['pull'] }],
})

const encode = (part: unknown) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
const es256 = (input: string, key = ours.privateKey) =>
  sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')

/** Builds a token of these parts, signed by our own key unless a signer is given. */
function make(header: object | string, payload: object | string, signer = (input: string) => es256(input)) {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${signer(input)}`
}

t.test('a valid token is accepted with its claims', async (t) => {
  const given = claims()
  t.strictSame(await verify(make(HEADER, given)), given)
  t.match(await verify(make(HEADER, { ...given, access: null })), { access: null }, 'an identity token')
  const service = { ...given, uid: undefined, gen: undefined, sub: 'service:image-manager' }
  t.match(
    await verify(make(HEADER, service)),
    { sub: 'service:image-manager', uid: undefined },
    "a service's",
  )
  t.match(await verify(make({ ...HEADER, x5c: ['AAAA'] }, given)), given, 'x5c is ignored')
})

const without = (...names: string[]) =>
  Object.fromEntries(Object.entries(claims()).filter(([name]) => !names.includes(name)))

const BAD_CLAIMS: readonly (readonly [why: string, payload: object | string])[] = [
  ['expired', { ...claims(), exp: now() - 1 }],
  ['expired long ago', { ...claims(), exp: 0 }],
  ['not yet valid', { ...claims(), nbf: now() + 60 }],
  ['an expiry that is a string', { ...claims(), exp: String(now() + 300) }],
  ['an expiry of null', { ...claims(), exp: null }],
  ['a start that is a string', { ...claims(), nbf: 'x' }],
  ['another issuer', { ...claims(), iss: 'evil.example' }],
  ['an issuer that begins like ours', { ...claims(), iss: 'registry.example.evil' }],
  ['a list of issuers', { ...claims(), iss: ['registry.example'] }],
  ['another audience', { ...claims(), aud: 'other.example' }],
  ['an audience that ends like ours', { ...claims(), aud: 'x.registry.example' }],
  ['an empty list of audiences', { ...claims(), aud: [] }],
  ...['iss', 'sub', 'aud', 'exp', 'jti'].map((name) => [`no ${name}`, without(name)] as const),
  ['nothing at all', {}],
]

t.test('tokens with missing or wrong claims are invalid', async (t) => {
  for (const [why, payload] of BAD_CLAIMS) t.equal(await verify(make(HEADER, payload)), undefined, why)
})

const hmac = (secret: string) => (input: string) =>
  createHmac('sha256', secret).update(input).digest('base64url')
const jwkOf = (pair: typeof foreign) => pair.publicKey.export({ format: 'jwk' })
const byForeign = (input: string) => es256(input, foreign.privateKey)
const byRsa = (input: string) => createSign('sha256').update(input).sign(rsa.privateKey).toString('base64url')

const FORGERIES: readonly (readonly [why: string, token: string])[] = [
  ['a foreign key under our key id', make(HEADER, claims(), byForeign)],
  ['a foreign key under its own id', make({ ...HEADER, kid: 'EVIL' }, claims(), byForeign)],
  ['an id in another case', make({ ...HEADER, kid: KID.toLowerCase() }, claims())],
  ['no key id', make({ typ: 'JWT', alg: 'ES256' }, claims())],
  ['a key id that is not a string', make({ ...HEADER, kid: [KID] }, claims())],
  ['its own jwk, our key id', make({ ...HEADER, jwk: jwkOf(foreign) }, claims(), byForeign)],
  ['its own jwk, another key id', make({ ...HEADER, kid: 'EVIL', jwk: jwkOf(foreign) }, claims(), byForeign)],
  ['its own jwk, no key id', make({ alg: 'ES256', jwk: jwkOf(foreign) }, claims(), byForeign)],
  ['our own jwk, another key id', make({ ...HEADER, kid: 'EVIL', jwk: jwkOf(ours) }, claims())],
  ['an x5c of its own', make({ ...HEADER, kid: 'EVIL', x5c: ['MIIB'] }, claims(), byForeign)],
  ['a URL of keys', make({ ...HEADER, kid: 'EVIL', jku: 'http://127.0.0.1:1/jwks' }, claims(), byForeign)],
  ['alg none, no signature', make({ ...HEADER, alg: 'none' }, claims(), () => '')],
  ['alg None', make({ ...HEADER, alg: 'None' }, claims(), () => '')],
  ['alg none, our signature', make({ ...HEADER, alg: 'none' }, claims())],
  ['alg none, no key id', make({ alg: 'none' }, claims(), () => '')],
  ['no algorithm', make({ typ: 'JWT', kid: KID }, claims())],
  ['no signature', make(HEADER, claims(), () => '')],
  ['HS256 with our public key as the secret', make({ ...HEADER, alg: 'HS256' }, claims(), hmac(PEM))],
  ['the same, trimmed', make({ ...HEADER, alg: 'HS256' }, claims(), hmac(PEM.trim()))],
  ['HS256 with an empty secret', make({ ...HEADER, alg: 'HS256' }, claims(), hmac(''))],
  ['an HMAC that says ES256', make(HEADER, claims(), hmac(PEM))],
  ['RS256', make({ ...HEADER, alg: 'RS256' }, claims(), byRsa)],
  ['RS256 that says ES256', make(HEADER, claims(), byRsa)],
  ['ES384', make({ ...HEADER, alg: 'ES384' }, claims(), (input) => es256(input, large.privateKey))],
  ['a key of another curve', make(HEADER, claims(), (input) => es256(input, large.privateKey))],
  [
    'a signature in DER',
    make(HEADER, claims(), (input) => createSign('sha256').update(input).sign(ours.privateKey, 'base64url')),
  ],
  ['a signature of zeros', make(HEADER, claims(), () => encode('\0'.repeat(64)))],
  ['an unknown critical extension', make({ ...HEADER, crit: ['x'], x: 1 }, claims())],
]

t.test('forged tokens are invalid', async (t) => {
  for (const [why, token] of FORGERIES) t.equal(await verify(token), undefined, why)
})

t.test('a token that was changed after it was signed is invalid', async (t) => {
  const [header = '', , signature = ''] = make(HEADER, claims()).split('.')
  const more = encode({ ...claims(), access: [{ type: 'repository', name: 'a', actions: ['push'] }] })
  t.equal(await verify(`${header}.${more}.${signature}`), undefined)
})

const good = make(HEADER, claims())
const RUBBISH = [
  '',
  '.',
  '..',
  '...',
  'a',
  'a.b.c',
  'x'.repeat(100_000),
  good.slice(0, -1),
  `${good}x`,
  `${good}.x`,
  `${good}=`,
  ` ${good}`,
  good.split('.').slice(0, 2).join('.'),
  good.replace('.', '..'),
  good.replaceAll('.', ' '),
  `${encode('{')}.${good.split('.').slice(1).join('.')}`,
  ...['null', '1', '"x"', '[]', 'true'].map((header) => make(header, claims())),
  ...['null', '1', '"x"', '[]', 'true', '{'].map((payload) => make(HEADER, payload)),
]

t.test('a string that is not a token is invalid and throws no error', async (t) => {
  for (const token of RUBBISH) {
    const shown = JSON.stringify(token.slice(0, 60))
    const found = await verify(token).catch((error: unknown) => error)
    t.equal(found, undefined, `${token.length} characters: ${shown}`)
  }
})

t.test('a token that was accepted before is refused once it has expired', async (t) => {
  const token = make(HEADER, { ...claims(), exp: now() + 60 })
  t.ok(await verify(token))
  const later = Date.now() + 61_000
  t.intercept(Date, 'now', { value: () => later })
  t.equal(await verify(token), undefined)
})

t.test('a token is accepted once its nbf has passed, even if it was refused before', async (t) => {
  const token = make(HEADER, { ...claims(), nbf: now() + 60 })
  t.equal(await verify(token), undefined)
  const later = Date.now() + 61_000
  t.intercept(Date, 'now', { value: () => later })
  t.ok(await verify(token))
})

t.test('a failure to read keys is an error, not an invalid token', async (t) => {
  const failure = new Error('auth-service is unavailable')
  const findKey = () => Promise.reject(failure)
  const verify = createTokenVerifier({ issuer: 'registry.example', audience: 'registry.example', findKey })
  await t.rejects(verify(make(HEADER, claims())), failure)
  t.equal(await verify('a.b.c'), undefined, 'a malformed token needs no key')
})

t.test(
  'tokens of a withdrawn key are refused within a minute, even if they were accepted before',
  async (t) => {
    let keys = [KID]
    let ahead = 0
    const { now: real } = Date
    t.intercept(Date, 'now', { value: () => real() + ahead })
    const verifyToken = createTokenVerifier({
      issuer: 'registry.example',
      audience: 'registry.example',
      findKey: async (kid) => (keys.includes(kid) ? PEM : undefined),
    })
    const token = make(HEADER, claims())
    t.match(await verifyToken(token), { sub: 'alice' })
    keys = []
    ahead = 60_001
    t.equal(await verifyToken(token), undefined)
  },
)
