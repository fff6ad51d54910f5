import type { TokenClaims } from '@registry-manager/principal'
import t from 'tap'
import type { Account } from '../../src/principals/account.ts'
import { findIdentity } from '../../src/access-tokens/identity-token.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const account = makeAccount({ generation: 3 })
const claims = { sub: 'alice', uid: account.id, gen: 3, access: null, exp: 1_000_300, jti: 'one' }

const find = (verified: TokenClaims | undefined, found: Account | undefined = account) =>
  findIdentity(
    {
      verifyToken: async (token) => (token === 'the-token' ? verified : undefined),
      findPrincipalById: async (id) => (id === found?.id ? found : undefined),
    },
    'the-token',
  )

t.test('the account of a valid identity token is found', async (t) => {
  t.strictSame(await find(claims), { principal: account, expiresAt: 1_000_300 })
})

t.test(
  'no account is found for a token that is not a valid identity token of the present generation',
  async (t) => {
    const cases: readonly (readonly [why: string, claims: TokenClaims | undefined, account?: Account])[] = [
      ['an invalid token', undefined],
      ['a scoped token', { ...claims, access: [] }],
      ['a token with access', { ...claims, access: [{ type: 'repository', name: 'a', actions: ['pull'] }] }],
      ['a token without the access claim', { ...claims, access: undefined as never }],
      ["a service's", { sub: 'service:image-manager', access: null, exp: 1, jti: 'one' }],
      ['one of an earlier generation', { ...claims, gen: 2 }],
      ['one of a later generation', { ...claims, gen: 4 }],
      ['one without a generation', { ...claims, gen: undefined }],
      ['one whose account is disabled', claims, { ...account, enabled: false }],
      ['one whose account was deleted', claims, makeAccount({ id: 'another', generation: 3 })],
    ]
    for (const [why, verified, found] of cases) t.equal(await find(verified, found), undefined, why)
  },
)
