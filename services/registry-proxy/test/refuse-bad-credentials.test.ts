import { createHmac } from 'node:crypto'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
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
  ['with an expiry that is no number', sign({ exp: '9999999999' })],
  ['without an id', sign({ jti: undefined })],
  ['of a revoked generation', sign({ uid: 'uid-revoked', gen: 1 })],
  ['signed by a foreign key under our key id', signToken(foreignKey, good)],
  ['of a key id that is not ours', signToken(foreignKey, good, { kid: 'other' })],
  ['without a key id', sign({}, { kid: undefined })],
  ['with a key id that is no text', sign({}, { kid: 7 })],
  ['with a key id of a path', sign({}, { kid: '../../etc/passwd' })],
  ['alg none, unsigned', `${noneHeader('none')}.`],
  ['alg None, unsigned', `${noneHeader('None')}.`],
  ['alg none, with the signature of the good one', `${noneHeader('none')}.${signature}`],
  ['HS256 with our public key as the secret, PEM', hmacToken(pem)],
  ['HS256 with our public key as the secret, DER', hmacToken(der)],
  ['HS256 with an empty secret', hmacToken('')],
  ['said to be ES384', sign({}, { alg: 'ES384' })],
  ['with a key of its own in the header', signToken(foreignKey, good, { jwk })],
  ['with a key of its own alone in the header', signToken(foreignKey, good, { kid: undefined, jwk })],
  [
    'with a certificate of its own',
    signToken(foreignKey, good, { kid: undefined, x5c: [der.toString('base64')] }),
  ],
  [
    'with a certificate of its own under our key id',
    signToken(foreignKey, good, { x5c: [der.toString('base64')] }),
  ],
  ['with a link to keys', signToken(foreignKey, good, { jku: `${auth.url}/.well-known/jwks.json` })],
  ['with other claims than were signed', `${head}.${swapped}.${signature}`],
  ['without its signature', `${head}.${body}.`],
  ['without its last part', `${head}.${body}`],
  ['with an empty signature of zeros', `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`],
  ['of another issuer', sign({ iss: 'evil.test' })],
  ['without an issuer', sign({ iss: undefined })],
  ['for another service', sign({ aud: 'other' })],
  ['for a service of a longer name', sign({ aud: `${SERVICE}.evil.test` })],
  ['for a list of services without ours', sign({ aud: ['other', `${SERVICE}:443`] })],
  ['for no service', sign({ aud: undefined })],
  ['of one of our services', sign({ sub: 'service:image-manager', uid: undefined, gen: undefined })],
  ['without an account id', sign({ uid: undefined })],
  ['without a generation', sign({ gen: undefined })],
  ['that is no token', 'abc'],
]

for (const [what, token] of BAD) {
  t.test(`a token ${what} is invalid`, async (t) => {
    for (const [method, target] of [
      ['GET', path],
      ['PUT', path],
      ['GET', '/v2/'],
    ] as const) {
      const answer = await ask(port, target, { method, authorization: `Bearer ${token}`, body: '' })
      t.equal(answer.status, 401, `${method} ${target}`)
      t.equal(answer.code, 'UNAUTHORIZED')
      t.match(answer.headers['www-authenticate'], 'error="invalid_token"')
      t.ok(answer.headers['www-authenticate']?.startsWith(`Bearer realm="${REALM}",service="${SERVICE}"`))
    }
    t.same(upstream.requests, [], 'nothing reached the registry')
  })
}

t.test('the same token, not tampered with, is good', async (t) => {
  const answer = await ask(port, path, { authorization: `Bearer ${signToken(key, good)}` })
  t.equal(answer.status, 200)
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
  ['the user and what is before the colon', basic('alice', 'pass')],
  ['an unknown user', basic('bob', 'pass:word')],
  ['the user in capitals', basic('Alice', 'pass:word')],
  ['an empty user', basic('', 'pass:word')],
  ['a scheme alone: Basic', 'Basic'],
  ['a scheme alone: Bearer', 'Bearer'],
  ['Basic and nothing', 'Basic '],
  ['Basic of what is no base64', 'Basic ***'],
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
  t.test(`Authorization: ${what}`, async (t) => {
    const answer = await ask(port, path, { authorization })
    t.equal(answer.status, 401)
    t.equal(answer.code, 'UNAUTHORIZED')
    t.same(upstream.requests, [], 'nothing reached the registry')
  })
}

t.test('good ones are read in any case of the scheme, passwords with colons included', async (t) => {
  const encoded = basic('alice', 'pass:word').slice('Basic '.length)
  for (const authorization of [
    `Basic ${encoded}`,
    `bAsIc ${encoded}`,
    `bearer ${token}`,
    `Bearer   ${token}`,
  ]) {
    const answer = await ask(port, path, { authorization })
    t.equal(answer.status, 200, authorization.slice(0, 8))
  }
})
