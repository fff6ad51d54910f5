import t from 'tap'
import { readClaims } from '../../src/oidc/read-claims.ts'

const PROVIDER = {
  id: 'corp',
  label: 'Corp',
  issuer: 'https://login.example.com',
  clientId: 'registry',
  scopes: [],
  usernameClaim: 'preferred_username',
  groupsClaim: 'groups',
  createAccounts: true,
}

t.test('claims name the person, the account and the groups', async (t) => {
  const claims = { sub: 's', sid: 'x', preferred_username: 'Jane.Doe', groups: ['b', 'a', 'b'] }
  t.strictSame(readClaims(claims, PROVIDER), {
    subject: 's',
    username: 'jane.doe',
    groups: ['a', 'b'],
    session: 'x',
  })
  t.match(
    readClaims({ sub: 's', preferred_username: 'jane' }, PROVIDER),
    { groups: [] },
    'no claim: no groups',
  )
  const { groupsClaim: _, ...without } = PROVIDER
  t.equal((readClaims(claims, without) as { groups?: unknown }).groups, undefined)
})

t.test('with a domain, only names of that domain are usernames', async (t) => {
  const provider = { ...PROVIDER, usernameClaim: 'upn', usernameDomain: 'Example.com' }
  for (const [upn, username] of [
    ['Jane@example.com', 'jane'],
    ['jane@EXAMPLE.COM', 'jane'],
    ['jane@evil.example', undefined],
    ['jane@sub.example.com', undefined],
    ['jane@notexample.com', undefined],
    ['jane', undefined],
    ['@example.com', undefined],
    ['jane@evil@example.com', undefined],
  ] as const) {
    const person = readClaims({ sub: 's', upn }, provider)
    t.equal('username' in person ? person.username : undefined, username, upn)
  }
})

t.test('an e-mail address names an account only if the provider has verified it', async (t) => {
  const provider = { ...PROVIDER, usernameClaim: 'email' }
  const email = 'jane@example.com'
  t.match(readClaims({ sub: 's', email, email_verified: true }, provider), { username: email })
  for (const email_verified of [undefined, false, 'true', 1]) {
    t.match(readClaims({ sub: 's', email, email_verified }, provider), { claim: 'email_verified' })
  }
})
