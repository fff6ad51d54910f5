import t from 'tap'
import { makeClaims } from '../../src/access-tokens/claims.ts'

const input = {
  issuer: 'registry.example:8443',
  audience: 'the-registry',
  subject: { sub: 'alice', uid: 'a-uuid', gen: 3 },
  access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
  now: 1_000_000,
  lifeSeconds: 300,
  jti: 'one',
}

t.test('the claims of an access token are exactly the documented ones', async (t) => {
  const claims = makeClaims(input)
  t.match(claims, {
    iss: 'registry.example:8443',
    sub: 'alice',
    uid: 'a-uuid',
    gen: 3,
    aud: 'the-registry',
    iat: 1_000_000,
    exp: 1_000_300,
    jti: 'one',
    access: input.access,
  })
  t.ok(claims.nbf <= claims.iat, 'a machine whose clock is behind accepts it')
  t.equal(Object.keys(claims).length, 10, 'there are no other claims')
})

t.test('the access claim of an identity token is null', async (t) => {
  t.equal(makeClaims({ ...input, access: null }).access, null)
  t.strictSame(makeClaims({ ...input, access: [] }).access, [], 'an empty list means that nothing is granted')
})

t.test('the access token of a service has no account', async (t) => {
  const claims = makeClaims({ ...input, subject: { sub: 'service:image-manager' } })
  t.notOk('uid' in claims || 'gen' in claims)
})

t.test('an access token expires at notAfter at the latest', async (t) => {
  for (const [notAfter, exp] of [
    [undefined, 1_000_300],
    [1_000_301, 1_000_300],
    [1_000_300, 1_000_300],
    [1_000_299, 1_000_299],
    [1_000_001, 1_000_001],
  ] as const) {
    t.equal(makeClaims({ ...input, notAfter }).exp, exp, `not after ${notAfter}: ${exp}`)
  }
})
