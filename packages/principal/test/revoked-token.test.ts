import t from 'tap'
import { isTokenRevoked } from '../src/revoked-token.ts'

const origin = { uid: 'jane', gen: 2, via: 'laptop' }
const listOf = (least: Readonly<Record<string, number>>) => (uid: string, generation: number) =>
  generation < (least[uid] ?? 0)

t.test(
  'an access token is revoked with its account, or with the credential that acts for the account',
  async (t) => {
    t.equal(isTokenRevoked(listOf({}), origin), false)
    t.equal(isTokenRevoked(listOf({ jane: 2 }), origin), false)
    t.equal(isTokenRevoked(listOf({ jane: 3 }), origin), true, 'the account changed')
    t.equal(isTokenRevoked(listOf({ laptop: 1 }), origin), true, 'the credential ended')
    t.equal(
      isTokenRevoked(listOf({ laptop: 1 }), { uid: 'jane', gen: 2 }),
      false,
      'a token of the account itself',
    )
    t.equal(isTokenRevoked(listOf({ 'another one': 1 }), origin), false)
    t.equal(
      isTokenRevoked(() => undefined, origin),
      undefined,
      'the revocation list has not been loaded yet',
    )
  },
)
