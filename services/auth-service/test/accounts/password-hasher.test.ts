import { ProblemError } from '@registry-manager/http'
import { argon2Sync } from 'node:crypto'
import t from 'tap'
import { createPasswordHasher } from '../../src/accounts/password-hasher.ts'

const hasher = createPasswordHasher()
/** A test vector of argon2's reference implementation: `password` with the salt `somesalt`. */
const VECTOR = '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4'

t.test('a password hash is an argon2id PHC string', async (t) => {
  const hash = await hasher.hash('pässwörd 😀')
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.equal(await hasher.verify('pässwörd 😀', hash), true)
  t.not(await hasher.hash('pässwörd 😀'), hash, 'each hash has its own salt')
})

t.test('a hash of another argon2 implementation is verified', async (t) => {
  t.equal(await hasher.verify('password', VECTOR), true)
})

t.test('a wrong password is not verified', async (t) => {
  for (const wrong of ['', 'Password', 'password ', 'passwor', VECTOR]) {
    t.equal(await hasher.verify(wrong, VECTOR), false, JSON.stringify(wrong))
  }
})

/** Made by crypt(3) of libxcrypt. */
const BCRYPT = '$2b$04$iEElrE2W4MmrFR/fa5yyvuJGwBhLzdzNYGobA5NeHA32Qo2B3RZnu'
const BCRYPT_UTF8 = '$2b$04$0w0RNcIVK1hSGs.CEVeIqeW2NNI/VMf76mRyTZURwyWGU4nX54BOC'

t.test('a bcrypt hash of another system is verified', async (t) => {
  for (const version of ['2a', '2b', '2y']) {
    const hash = BCRYPT.replace('2b', version)
    t.equal(await hasher.verify('password', hash), true, version)
    t.equal(await hasher.verify('Password', hash), false, version)
  }
  t.equal(await hasher.verify('pässword', BCRYPT_UTF8), true)
  t.equal(await hasher.verify('pa\u0308ssword', BCRYPT_UTF8), true, 'the decomposed form')
  t.equal(await hasher.verify('passwort', BCRYPT_UTF8), false)
})

t.test('a bcrypt hash is verified beside the event loop', async (t) => {
  let turns = 0
  const timer = setInterval(() => (turns += 1), 1)
  // With this cost the comparison takes more than 100 ms.
  t.equal(await hasher.verify('password', BCRYPT.replace('$04$', '$12$')), false)
  clearInterval(timer)
  t.ok(turns > 5, `the event loop had ${turns} turns`)
})

t.test('no password is verified without a hash', async (t) => {
  for (const password of ['', 'password', 'null']) t.equal(await hasher.verify(password, null), false)
})

t.test('an invalid stored hash is an error', async (t) => {
  for (const bad of [
    '',
    'password',
    '$2b$10$abcdefghijklmnopqrstuv',
    BCRYPT.replace('$04$', '$13$'),
    BCRYPT.replace('2b', '2x'),
    VECTOR.replace('argon2id', 'argon2i'),
  ]) {
    await t.rejects(hasher.verify('password', bad), /not an argon2id PHC string/, bad)
  }
})

t.test('sign-ins beyond the queue get 503 with Retry-After', async (t) => {
  const all = await Promise.allSettled(Array.from({ length: 300 }, () => hasher.verify('password', VECTOR)))
  const refused = all.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
  t.ok(refused.length > 0 && refused.length < 300, `${300 - refused.length} were looked at`)
  for (const error of refused) t.ok(error instanceof ProblemError && error.problem.status === 503)
  t.ok(refused[0] instanceof ProblemError && refused[0].problem.headers?.['retry-after'])
  t.equal(await hasher.verify('password', VECTOR), true, 'later sign-ins are verified')
})

t.test('composed and decomposed forms of a password are equal', async (t) => {
  const [composed, decomposed, spaced] = ['Zürich é 😀', 'Zu\u0308rich e\u0301 😀', 'Zürich\u00a0é\u3000😀']
  for (const set of [composed, decomposed, spaced]) {
    const hash = await hasher.hash(set)
    for (const typed of [composed, decomposed, spaced]) {
      t.equal(
        await hasher.verify(typed, hash),
        true,
        `${JSON.stringify(set)}, typed as ${JSON.stringify(typed)}`,
      )
    }
    for (const wrong of ['Zurich e 😀', 'ZÜRICH É 😀', 'Züriché😀', 'Zürich  é 😀']) {
      t.equal(await hasher.verify(wrong, hash), false, 'different letters are a different password')
    }
  }
})

t.test('a hash of a password that was not normalised still verifies that password', async (t) => {
  // The parameters of the vector above, with the decomposed form of the password.
  const message = Buffer.from('Zu\u0308rich-password')
  const parameters = { memory: 256, passes: 2, parallelism: 1, tagLength: 32, nonce: Buffer.from('somesalt') }
  const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  const tag = argon2Sync('argon2id', { message, ...parameters })
  const hash = `$argon2id$v=19$m=256,t=2,p=1$${base64(parameters.nonce)}$${base64(tag)}`
  t.equal(await hasher.verify('Zu\u0308rich-password', hash), true)
  t.equal(await hasher.verify('Zürich-password', hash), false, 'the composed form does not match such a hash')
})

t.test('a client with many waiting sign-ins does not delay another client', async (t) => {
  const done: string[] = []
  const verify = async (client: string) => {
    await hasher.verify('password', VECTOR, client).catch(() => undefined)
    done.push(client)
  }
  const flood = Array.from({ length: 300 }, () => verify('192.0.2.1'))
  await verify('192.0.2.2')
  // Requests beyond the lane of a client are refused at once.
  t.ok(done.filter((client) => client === '192.0.2.1').length <= 200 + 6, `${done.length} were before it`)
  await Promise.all(flood)
})
