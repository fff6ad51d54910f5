import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startAuthService } from '../fixtures/auth-service.ts'

const db = await pgliteForTest(t)
const { ask, lines, answers } = await startAuthService(t, db)
/** Made by crypt(3) of libxcrypt from `password`. */
const HASH = '$2b$04$iEElrE2W4MmrFR/fa5yyvuJGwBhLzdzNYGobA5NeHA32Qo2B3RZnu'.replace('2b', '2y')

const create = (fields: object) => ask({ method: 'POST', url: '/user', json: fields, as: 'root' })
const stored = (username: string) =>
  db.selectFrom('accounts').selectAll().where('username', '=', username).executeTakeFirstOrThrow()
const signIn = async (as: string, password: string) => (await ask({ url: '/user', as, password })).statusCode

t.test('a user who is created with a bcrypt hash keeps the password of the other system', async (t) => {
  t.equal((await create({ username: 'jane', password_hash: HASH })).statusCode, 201)
  t.equal(await signIn('jane', 'wrong-password'), 401)
  const before = await stored('jane')
  t.equal(before.password_hash, HASH, 'a failed sign-in changes nothing')

  t.equal(await signIn('jane', 'password'), 200)
  const after = await stored('jane')
  t.match(after.password_hash, /^\$argon2id\$/, 'the first sign-in replaces the hash')
  t.equal(after.generation, before.generation, 'sessions and tokens stay valid')

  t.equal(await signIn('jane', 'password'), 200)
  t.equal((await stored('jane')).password_hash, after.password_hash, 'later sign-ins do not')
  t.equal(await signIn('jane', 'wrong-password'), 401)
})

t.test('a new password replaces an imported hash', async (t) => {
  await create({ username: 'omar', password_hash: HASH })
  const json = { username: 'omar', password: 'another-password' }
  t.equal((await ask({ method: 'POST', url: '/user/password', json, as: 'root' })).statusCode, 204)
  t.equal(await signIn('omar', 'password'), 401)
  t.equal(await signIn('omar', 'another-password'), 200)
})

t.test('hashes that sign-in does not verify are refused, and no hash is printed', async (t) => {
  const bad = [
    HASH.replace('$04$', '$13$'),
    HASH.replace('2y', '2x'),
    HASH.slice(0, -1),
    '$apr1$Fw1ZRUkr$2Y0rkZoWDhF5i5PS5qDHN0',
    '',
  ]
  for (const password_hash of bad) {
    const response = await create({ username: 'nina', password_hash })
    t.equal(response.statusCode, 400)
    t.match(response.json(), { field: 'password_hash', detail: /must be a bcrypt hash .* cost of 4 to 12$/ })
  }
  const both = await create({ username: 'nina', password_hash: HASH, password: 'a-good-password' })
  t.match([both.statusCode, both.json().field], [400, 'password_hash'])
  const change = { username: 'jane', password_hash: HASH }
  const changed = await ask({ method: 'PATCH', url: '/user', json: change, as: 'root' })
  t.equal(changed.statusCode, 400, 'only a new user has a hash')
  t.notMatch([...lines, ...answers].join('\n'), HASH.slice(7), 'logs and responses contain no hash')
})
