import t from 'tap'
import { readForeignToken } from '../../src/federation/read-foreign-token.ts'
import { parseJsonWebToken } from '../../src/principals/json-web-token.ts'

const NOW = 1_000_000
const header = { alg: 'RS256', kid: 'one' }
const payload = { iss: 'https://issuer.example', aud: 'registry', sub: 'repo:acme/app', exp: NOW + 60 }
const read = (change: object, algorithm: unknown = 'RS256') =>
  readForeignToken({ header: { ...header, alg: algorithm }, payload: { ...payload, ...change } }, NOW * 1000)

t.test('the claims of a valid token are read', async (t) => {
  const claims = {
    issuer: 'https://issuer.example',
    audiences: ['registry'],
    subject: 'repo:acme/app',
    expiresAt: NOW + 60,
  }
  t.strictSame(read({}), claims)
  t.strictSame(read({ aud: ['a', 'b'] }), { ...claims, audiences: ['a', 'b'] })
  t.strictSame(read({ sub: undefined }), { ...claims, subject: '' })
  t.strictSame(read({ exp: NOW + 0.9 }), { ...claims, expiresAt: NOW })
  t.strictSame(read({ iat: NOW + 60, nbf: NOW + 60 }), claims, 'clocks may differ by a minute')
})

t.test('a token that can never be accepted is refused before anything is looked up', async (t) => {
  for (const algorithm of ['none', 'None', 'HS256', 'HS512', 'RSA-OAEP', 'RS1', '', null, 5, ['RS256']]) {
    t.strictSame(read({}, algorithm), { fault: 'algorithm' }, String(algorithm))
  }
  for (const change of [
    { iss: undefined },
    { iss: 5 },
    { iss: 'https://a\0b' },
    { aud: undefined },
    { aud: { registry: true } },
    { aud: ['registry', 5] },
    { aud: Array.from({ length: 21 }, String) },
    { sub: 5 },
    { sub: ['a'] },
    { exp: undefined },
    { exp: String(NOW + 60) },
    { exp: Number.NaN },
    { iat: 'now' },
    { nbf: null },
  ]) {
    t.strictSame(read(change), { fault: 'claims' }, JSON.stringify(change))
  }
  for (const exp of [NOW, NOW - 1, 0, -1]) t.strictSame(read({ exp }), { fault: 'expired' }, `exp ${exp}`)
  for (const change of [{ iat: NOW + 61 }, { nbf: NOW + 61 }]) {
    t.strictSame(read(change), { fault: 'not-yet-valid' }, JSON.stringify(change))
  }
})

t.test('only strings of the form of a JSON Web Token are parsed as one', async (t) => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = (first: unknown, second: unknown, signature = 'AAAA') =>
    `${part(first)}.${part(second)}.${signature}`
  t.strictSame(parseJsonWebToken(token(header, payload)), { header, payload })
  t.strictSame(parseJsonWebToken(token({ alg: 'none' }, payload, '')), { header: { alg: 'none' }, payload })
  for (const text of [
    '',
    'a-password',
    'rmt_0123456789',
    'a.b.c',
    `${part(header)}.${part(payload)}`,
    `${part(header)}.${part(payload)}.a.b`,
    `${part(header)}.${part(payload)}.a b`,
    token([], payload),
    token(header, []),
    token(header, null),
    token(header, 'text'),
    token(header, { padding: 'x'.repeat(12 * 1024) }),
  ]) {
    t.equal(parseJsonWebToken(text), undefined, text.slice(0, 60))
  }
})
