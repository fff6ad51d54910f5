import t from 'tap'
import type { SignIn, SignInMethod } from '../../src/sign-in/sign-in.ts'
import { countRefusals, createSignIn } from '../../src/sign-in/sign-in.ts'

const REFUSED: SignIn = { outcome: 'refused' }
const refreshTokens = {
  withRefreshToken: async () => REFUSED,
  rememberRefreshToken: () => undefined,
}

/** A method that accepts passwords with a prefix and records what it gets. */
function createMethod(prefix: string, result: SignIn = REFUSED) {
  const calls: string[] = []
  const method: SignInMethod = {
    accepts: (_username, password) => password.startsWith(prefix),
    async signIn(username, password, address, freshness) {
      calls.push([username, password, address, freshness].join(' '))
      return result
    },
  }
  return { calls, method }
}

t.test('the first method that accepts the credentials decides alone', async (t) => {
  const [tokens, users] = [createMethod('rmt_'), createMethod('')]
  const signIn = createSignIn([tokens.method, users.method], refreshTokens)
  t.strictSame(await signIn.withPassword('ci', 'rmt_secret', '10.0.0.1'), REFUSED)
  t.strictSame([tokens.calls, users.calls], [['ci rmt_secret 10.0.0.1 current'], []])
  await signIn.withPassword('alice', 'a-password', '10.0.0.1', 'recent')
  t.strictSame(users.calls, ['alice a-password 10.0.0.1 recent'])
})

t.test('credentials that no method accepts are refused', async (t) => {
  const signIn = createSignIn([createMethod('rmt_').method], refreshTokens)
  t.strictSame(await signIn.withPassword('alice', 'a-password', '10.0.0.1'), REFUSED)
})

t.test("each refusal of a method is counted for the client's network", async (t) => {
  const refusals: string[] = []
  const refuse = async (client: string): Promise<SignIn> => {
    refusals.push(client)
    return { outcome: 'throttled', retryAfterSeconds: 20 }
  }
  const method = countRefusals(createMethod('rmt_').method, refuse)
  t.equal(method.accepts('ci', 'rmt_secret'), true)
  t.match(await method.signIn('ci', 'rmt_secret', '2001:db8::1', 'current'), { outcome: 'throttled' })
  t.strictSame(refusals, ['2001:db8:0:0::/64'])
  const unavailable = createMethod('', { outcome: 'unavailable', dependency: 'database' }).method
  await countRefusals(unavailable, refuse).signIn('ci', 'rmt_secret', '10.0.0.1', 'current')
  t.equal(refusals.length, 1, 'other outcomes are not counted')
})
