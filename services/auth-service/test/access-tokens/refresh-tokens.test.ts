import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createAccounts } from '../../src/accounts/index.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'
import { refreshTokensOf } from '../fixtures/refresh-tokens.ts'

const DAY = 86_400_000

await onBothDatabases(t, async (t, db) => {
  const clock = { ahead: 0 }
  const now = () => Date.now() + clock.ahead
  const users = createAccounts(db, fakeHasher)
  const tokens = refreshTokensOf(db, now)
  const accountOf = (token: string, service = 's') => tokens.findAccountId(token, service)
  const create = async (username: string) => {
    const created = await users.create(planUser(username))
    if ('refused' in created) throw new Error(created.refused)
    return created.user
  }
  t.beforeEach(() => {
    clock.ahead = 0
  })

  t.test('a refresh token belongs to one account and one service', async (t) => {
    const [alice, bob] = [await create('alice'), await create('bob')]
    const [one, other] = [await tokens.issue(alice, 's', 'docker'), await tokens.issue(bob, 's', 'docker')]
    t.equal(await accountOf(one), alice.id)
    t.equal(await accountOf(other), bob.id)
    t.equal(await accountOf(one), alice.id, 'it works more than once')
    t.equal(await accountOf(one, 'another'), undefined)
    for (const unknown of [
      '',
      'x',
      one.toUpperCase(),
      `${one} `,
      one.slice(0, -1),
      '\0',
      'x'.repeat(10_000),
    ]) {
      t.equal(await accountOf(unknown), undefined, JSON.stringify(unknown.slice(0, 20)))
    }
  })

  t.test('only the hash of a refresh token is stored', async (t) => {
    const token = await tokens.issue(await create('carol'), 's', 'docker')
    t.ok(token.length >= 40, 'a refresh token is long')
    const { rows } = await sql<{ row: string }>`select t::text as row from refresh_tokens t`.execute(db)
    const dump = rows.map(({ row }) => row).join('\n')
    const secret = token.replace(/^[a-z]+_/, '')
    for (const form of [
      token,
      secret,
      Buffer.from(token).toString('hex'),
      Buffer.from(token).toString('base64'),
    ]) {
      t.notMatch(dump, form)
    }
    t.notMatch(dump, Buffer.from(secret, 'base64url').toString('hex'))
    t.match(dump, createHash('sha256').update(token).digest('hex'), 'the hash is stored')
  })

  t.test('a refresh token that was unused for ninety days is refused', async (t) => {
    const dave = await create('dave')
    const [used, unused] = [await tokens.issue(dave, 's', ''), await tokens.issue(dave, 's', '')]
    clock.ahead = 60 * DAY
    t.equal(await accountOf(used), dave.id)
    clock.ahead = 89 * DAY
    t.equal(await accountOf(unused), dave.id, 'on the last day it is still valid')
    clock.ahead = 151 * DAY
    t.equal(await accountOf(used), undefined, 'earlier uses do not count')
    t.equal(await accountOf(unused), dave.id)
    clock.ahead = 300 * DAY
    t.equal(await accountOf(unused), undefined)
  })

  t.test('a raised generation ends the refresh tokens of an account', async (t) => {
    const erin = await create('erin')
    const token = await tokens.issue(erin, 's', '')
    await db.updateTable('accounts').set({ generation: 2 }).where('id', '=', erin.id).execute()
    t.equal(await accountOf(token), undefined)
    const late = await tokens.issue(erin, 's', '')
    t.equal(await accountOf(late), undefined, 'a refresh token for an earlier generation is never valid')
    await users.delete('erin')
    t.equal(await accountOf(token), undefined)
  })

  t.test(
    'ending the sessions of an account deletes the refresh tokens of that account and of no other',
    async (t) => {
      const [frank, grace] = [await create('frank'), await create('grace')]
      const [one, two] = [await tokens.issue(frank, 's', ''), await tokens.issue(frank, 's', '')]
      const other = await tokens.issue(grace, 's', '')
      await users.endSessions(frank)
      const found = await Promise.all([one, two, other].map((token) => accountOf(token)))
      t.same(found, [undefined, undefined, grace.id])
    },
  )

  t.test('an account has a hundred refresh tokens at the most; a new one replaces the oldest', async (t) => {
    const [heidi, ivan] = [await create('heidi'), await create('ivan')]
    const other = await tokens.issue(ivan, 's', '')
    const issued: string[] = []
    for (let count = 0; count < 102; count += 1) issued.push(await tokens.issue(heidi, 's', ''))
    const alive = async (token: string) => (await accountOf(token)) !== undefined
    t.same(await Promise.all(issued.slice(0, 4).map(alive)), [false, false, true, true])
    t.equal(await alive(issued.at(-1) ?? ''), true)
    t.equal(await alive(other), true, "another account's refresh token stays")
    const [{ count } = { count: 0 }] = await db
      .selectFrom('refresh_tokens')
      .select((eb) => eb.fn.countAll().as('count'))
      .where('account_id', '=', heidi.id)
      .execute()
    t.equal(Number(count), 100)
  })

  t.test(
    'a session in use every ten minutes survives a hundred newer sign-ins within the hour',
    async (t) => {
      const mallory = await create('mallory')
      const inUse = await tokens.issue(mallory, 's', 'docker')
      const unused = await tokens.issue(mallory, 's', 'docker')
      for (let minute = 0; minute < 60; minute += 1) {
        clock.ahead = minute * 60_000
        if (minute % 10 === 0) t.equal(await accountOf(inUse), mallory.id, `minute ${minute}`)
        for (const _ of [1, 2]) await tokens.issue(mallory, 's', 'docker')
      }
      t.equal(await accountOf(inUse), mallory.id)
      t.equal(await accountOf(unused), undefined, 'the unused one was replaced')
    },
  )

  t.test('any client id gets a refresh token', async (t) => {
    const judy = await create('judy')
    for (const client of ['', 'docker', 'ü', "'; drop table accounts; --", 'x'.repeat(5000)]) {
      t.equal(await accountOf(await tokens.issue(judy, 's', client)), judy.id)
    }
  })
})
