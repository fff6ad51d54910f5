import { createHmac } from 'node:crypto'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { REALM, basic, startProxy } from './fixtures/proxy.ts'
import { SERVICE, claims, createSigningKey, seconds, signToken, signingInput } from './fixtures/tokens.ts'

const access = [repositoryAccess('team/app', 'pull', 'push', 'delete')]
const path = '/v2/team/app/manifests/latest'
const { port, auth, upstream } = await startProxy(t, { revoked: { 'uid-revoked': 2 } })
const { key } = auth

const foreignKey = createSigningKey(key.kid)
const jwk = foreignKey.publicKey.export({ format: 'jwk' })
const pem = key.publicKey.export({ type: 'spki', format: 'pem' })
const der = key.publicKey.export({ type: 'spki', format: 'der' })
const good = claims(access)

function hmacToken(secret: string | Buffer): string {
  const text = signingInput({ typ: 'JWT', alg: 'HS256', kid: key.kid }, good)
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

const sign = (others: Record<string, unknown>, header: object = {}) =>
  signToken(key, claims(access, others), header)
const [head, body, signature] = signToken(key, good).split('.')
const noneHeader = (alg: string) => signingInput({ typ: 'JWT', alg, kid: key.kid }, good)
const swapped = Buffer.from(JSON.stringify(claims([repositoryAccess('other/app', 'pull')]))).toString(
  'base64url',
)

const BAD: readonly [string, string][] = [
  ['expired', sign({ exp: seconds() - 1 })],
  ['long expired', sign({ exp: 1, nbf: 0, iat: 0 })],
  ['not valid yet', sign({ nbf: seconds() + 60 })],
  ['without an expiry', sign({ exp: undefined })],
  ['with an expiry that is not a number', sign({ exp: '9999999999' })],
  ['without an id', sign({ jti: undefined })],
  ['of a revoked generation', sign({ uid: 'uid-revoked', gen: 1 })],
  ['signed by a foreign key with a known key id', signToken(foreignKey, good)],
  ['with an unknown key id', signToken(foreignKey, good, { kid: 'other' })],
  ['without a key id', sign({}, { kid: undefined })],
  ['with a key id that is not a string', sign({}, { kid: 7 })],
  ['with a path as key id', sign({}, { kid: '../../etc/passwd' })],
  ['with alg none and no signature', `${noneHeader('none')}.`],
  ['with alg None and no signature', `${noneHeader('None')}.`],
  ['with alg none and a valid signature', `${noneHeader('none')}.${signature}`],
  ['with HS256 and the public key in PEM as secret', hmacToken(pem)],
  ['with HS256 and the public key in DER as secret', hmacToken(der)],
  ['with HS256 and an empty secret', hmacToken('')],
  ['with alg ES384', sign({}, { alg: 'ES384' })],
  ['with a foreign key in the header', signToken(foreignKey, good, { jwk })],
  ['with a foreign key and no key id in the header', signToken(foreignKey, good, { kid: undefined, jwk })],
  [
    'with a foreign certificate',
    signToken(foreignKey, good, { kid: undefined, x5c: [der.toString('base64')] }),
  ],
  [
    'with a foreign certificate and a known key id',
    signToken(foreignKey, good, { x5c: [der.toString('base64')] }),
  ],
  ['with a link to keys', signToken(foreignKey, good, { jku: `${auth.url}/.well-known/jwks.json` })],
  ['with claims that were not signed', `${head}.${swapped}.${signature}`],
  ['without its signature', `${head}.${body}.`],
  ['without its last part', `${head}.${body}`],
  ['with an empty signature of zeros', `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`],
  ['of another issuer', sign({ iss: 'evil.test' })],
  ['without an issuer', sign({ iss: undefined })],
  ['for another service', sign({ aud: 'other' })],
  ['for a service with a longer name', sign({ aud: `${SERVICE}.evil.test` })],
  ['for a list of other services', sign({ aud: ['other', `${SERVICE}:443`] })],
  ['for no service', sign({ aud: undefined })],
  ['of an internal service', sign({ sub: 'service:image-manager', uid: undefined, gen: undefined })],
  ['without an account id', sign({ uid: undefined })],
  ['without a generation', sign({ gen: undefined })],
  ['that is not a JWT', 'abc'],
]

for (const [what, token] of BAD) {
  t.test(`a token ${what} is invalid`, async (t) => {
    for (const [method, target] of [
      ['GET', path],
      ['PUT', path],
      ['GET', '/v2/'],
    ] as const) {
      const response = await sendRequest(port, target, { method, authorization: `Bearer ${token}`, body: '' })
      t.equal(response.status, 401, `${method} ${target}`)
      t.equal(response.code, 'UNAUTHORIZED')
      t.match(response.headers['www-authenticate'], 'error="invalid_token"')
      t.ok(response.headers['www-authenticate']?.startsWith(`Bearer realm="${REALM}",service="${SERVICE}"`))
    }
    t.same(upstream.requests, [], 'nothing reached the registry')
  })
}

t.test('an untampered token is accepted', async (t) => {
  const response = await sendRequest(port, path, { authorization: `Bearer ${signToken(key, good)}` })
  t.equal(response.status, 200)
  t.equal(upstream.only().url, path)
  upstream.requests.length = 0
})

auth.accounts.set('alice', { password: 'pass:word', uid: 'uid-alice', gen: 1, access })
const token = signToken(key, good)

const MALFORMED: readonly [string, string | undefined][] = [
  ['none', undefined],
  ['empty', ''],
  ['a wrong password', basic('alice', 'password')],
  ['no password', basic('alice', '')],
  ['the password up to its colon', basic('alice', 'pass')],
  ['an unknown user', basic('bob', 'pass:word')],
  ['the user in capitals', basic('Alice', 'pass:word')],
  ['an empty user', basic('', 'pass:word')],
  ['Basic alone', 'Basic'],
  ['Bearer alone', 'Bearer'],
  ['Basic and a space', 'Basic '],
  ['Basic without base64', 'Basic ***'],
  ['Basic without a colon', `Basic ${Buffer.from('alice').toString('base64')}`],
  ['Basic unencoded', 'Basic alice:pass:word'],
  ['a token as Basic', `Basic ${token}`],
  ['a token without a scheme', token],
  ['a token with another scheme', `Token ${token}`],
  ['two tokens', `Bearer ${token} ${token}`],
  ['two schemes', `Bearer ${token}, ${basic('alice', 'pass:word')}`],
  ['a quoted token', `Bearer "${token}"`],
  ['a token with a comma', `Bearer ${token},`],
]

for (const [what, authorization] of MALFORMED) {
  t.test(`a request with bad credentials is 401: ${what}`, async (t) => {
    const response = await sendRequest(port, path, { authorization })
    t.equal(response.status, 401)
    t.equal(response.code, 'UNAUTHORIZED')
    t.same(upstream.requests, [], 'nothing reached the registry')
  })
}

t.test('the scheme is case-insensitive, and a password may contain colons', async (t) => {
  const encoded = basic('alice', 'pass:word').slice('Basic '.length)
  for (const authorization of [
    `Basic ${encoded}`,
    `bAsIc ${encoded}`,
    `bearer ${token}`,
    `Bearer   ${token}`,
  ]) {
    const response = await sendRequest(port, path, { authorization })
    t.equal(response.status, 200, authorization.slice(0, 8))
  }
})
