import { randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { passwordFault } from '../../src/principals/password-policy.ts'
import { hashSecret, isSameHash } from '../../src/principals/secret-hash.ts'
import { hasRightChecksum, makeTokenSecret, secretKindOf } from '../../src/principals/token-secret.ts'

const make = () => makeTokenSecret('registry-token', randomInt)

for (const [kind, pattern] of [
  ['registry-token', /^rmt_[0-9A-Za-z]{36}$/],
  ['personal-token', /^rmp_[0-9A-Za-z]{36}$/],
] as const) {
  t.test(`the password of a ${kind} has a form that secret scanners can find`, async (t) => {
    const made = Array.from({ length: 1000 }, () => makeTokenSecret(kind, randomInt))
    t.equal(new Set(made).size, 1000, 'all passwords differ')
    for (const secret of made) {
      if (pattern.test(secret) && secretKindOf(secret) === kind && hasRightChecksum(secret)) continue
      t.fail(`${secret} is not as documented`)
    }
    const characters = new Set(made.flatMap((secret) => secret.slice(4, 34).split('')))
    t.equal(characters.size, 62, 'all letters and digits occur')
  })
}

t.test('at least 128 bits of a password are random', async (t) => {
  const requested: number[] = []
  makeTokenSecret('personal-token', (max) => {
    requested.push(max)
    return 0
  })
  t.ok(requested.reduce((bits, max) => bits + Math.log2(max), 0) >= 128)
})

t.test('the checksum of a password is CRC-32 in base 62', async (t) => {
  const lowest = makeTokenSecret('registry-token', () => 0)
  t.equal(lowest.slice(0, 34), `rmt_${'0'.repeat(30)}`)
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  const value = Array.from(lowest.slice(34)).reduce((sum, digit) => sum * 62 + digits.indexOf(digit), 0)
  t.equal(value, crc32(lowest.slice(0, 34)))
})

t.test('one changed character makes the checksum wrong', async (t) => {
  const secret = make()
  for (let at = 4; at < secret.length; at += 1) {
    const other = secret[at] === 'x' ? 'y' : 'x'
    t.notOk(hasRightChecksum(secret.slice(0, at) + other + secret.slice(at + 1)), `at ${at}`)
  }
  t.notOk(hasRightChecksum(`rmp_${secret.slice(4)}`), 'the prefix of another kind')
})

t.test('other strings do not have the form of the password of a token', async (t) => {
  const secret = make()
  for (const text of [
    '',
    'rmt_',
    secret.slice(1),
    `${secret}x`,
    ` ${secret}`,
    `${secret}\n`,
    `rmr_${secret.slice(4)}`,
    secret.replace('_', '-'),
  ]) {
    t.equal(secretKindOf(text), undefined, JSON.stringify(text))
  }
})

t.test('a user cannot choose a password with the form of the password of a token', async (t) => {
  t.match(passwordFault(make(), 'alice'), /registry token/)
  t.match(passwordFault(makeTokenSecret('personal-token', randomInt), 'alice'), /personal token/)
  t.equal(passwordFault('rmt_is-the-beginning', 'alice'), undefined, 'the prefix alone is allowed')
})

t.test('hashes of a password are equal, of different passwords they differ', async (t) => {
  const secret = make()
  t.ok(isSameHash(hashSecret(secret), hashSecret(secret)))
  t.notOk(isSameHash(hashSecret(secret), hashSecret(make())))
  t.notOk(isSameHash(hashSecret(secret), Buffer.alloc(0)), 'hashes of different lengths differ')
})
