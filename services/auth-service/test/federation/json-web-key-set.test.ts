import t from 'tap'
import { parseKeySet } from '../../src/federation/json-web-key-set.ts'

t.test('only public keys of a key set are read', async (t) => {
  const rsa = { kty: 'RSA', kid: 'one', use: 'sig', n: 'AQ', e: 'AQAB' }
  const ec = { kty: 'EC', crv: 'P-256', x: 'AQ', y: 'AQ' }
  const given = {
    keys: [{ ...rsa, x5c: ['…'], d: 'secret' }, ec, { kty: 'oct', k: 'c2VjcmV0' }, null, 5, 'x', {}],
  }
  t.strictSame(parseKeySet(given), { keys: [rsa, ec] })
})

t.test('a value that is no key set, and one with more than 100 keys, are refused', async (t) => {
  for (const value of [undefined, null, 5, [], {}, { keys: {} }, { keys: 'x' }]) {
    t.match(parseKeySet(value), { fault: /must be a JSON Web Key Set/ }, JSON.stringify(value))
  }
  const keys = Array.from({ length: 101 }, () => ({ kty: 'RSA' }))
  t.match(parseKeySet({ keys }), { fault: 'must have at most 100 keys, not 101' })
})
