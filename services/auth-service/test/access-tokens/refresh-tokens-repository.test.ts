import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createRefreshTokensRepository } from '../../src/access-tokens/refresh-tokens-repository.ts'
import { createAccounts } from '../../src/accounts/index.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const DAY = 86_400_000

await onBothDatabases(t, async (t, db) => {
  const clock = { ahead: 0 }
  const now = () => Date.now() + clock.ahead
  const users = createAccounts(db, fakeHasher)
  const tokens = createRefreshTokensRepository(db, now)
  const create = async (username: string) => {
    const created = await users.create(planUser(username))
    if ('refused' in created) throw new Error(created.refused)
    return created.user
  }
  t.beforeEach(() => {
    clock.ahead = 0
  })

  t.test('a token belongs to one account and one service', async (t) => {
    const [alice, bob] = [await create('alice'), await create('bob')]
    const [one, other] = [await tokens.issue(alice, 's', 'docker'), await tokens.issue(bob, 's', 'docker')]
    t.equal(await tokens.findAccountId(one, 's'), alice.id)
    t.equal(await tokens.findAccountId(other, 's'), bob.id)
    t.equal(await tokens.findAccountId(one, 's'), alice.id, 'again and again')
    t.equal(await tokens.findAccountId(one, 'another'), undefined)
    for (const unknown of [
      '',
      'x',
      one.toUpperCase(),
      `${one} `,
      one.slice(0, -1),
      '\0',
      'x'.repeat(10_000),
    ]) {
      t.equal(await tokens.findAccountId(unknown, 's'), undefined, JSON.stringify(unknown.slice(0, 20)))
    }
  })

  t.test('only its hash is kept', async (t) => {
    const token = await tokens.issue(await create('carol'), 's', 'docker')
    t.ok(token.length >= 40, 'a token is long')
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
    t.match(dump, createHash('sha256').update(token).digest('hex'), 'which is there')
  })

  t.test('unused for ninety days, it is dead', async (t) => {
    const dave = await create('dave')
    const [used, unused] = [await tokens.issue(dave, 's', ''), await tokens.issue(dave, 's', '')]
    clock.ahead = 60 * DAY
    t.equal(await tokens.findAccountId(used, 's'), dave.id)
    clock.ahead = 89 * DAY
    t.equal(await tokens.findAccountId(unused, 's'), dave.id, 'the last day')
    clock.ahead = 151 * DAY
    t.equal(await tokens.findAccountId(used, 's'), undefined, 'however often it was used before')
    t.equal(await tokens.findAccountId(unused, 's'), dave.id)
    clock.ahead = 300 * DAY
    t.equal(await tokens.findAccountId(unused, 's'), undefined)
  })

  t.test('a generation that is raised ends it, whatever raised it', async (t) => {
    const erin = await create('erin')
    const token = await tokens.issue(erin, 's', '')
    await db.updateTable('accounts').set({ generation: 2 }).where('id', '=', erin.id).execute()
    t.equal(await tokens.findAccountId(token, 's'), undefined)
    const late = await tokens.issue(erin, 's', '')
    t.equal(
      await tokens.findAccountId(late, 's'),
      undefined,
      'one made for the generation before is dead at birth',
    )
    await users.delete('erin')
    t.equal(await tokens.findAccountId(token, 's'), undefined)
  })

  t.test('revoked, all of an account are gone, and only those', async (t) => {
    const [frank, grace] = [await create('frank'), await create('grace')]
    const [one, two] = [await tokens.issue(frank, 's', ''), await tokens.issue(frank, 's', '')]
    const other = await tokens.issue(grace, 's', '')
    await tokens.revokeAll(frank.id)
    const found = await Promise.all([one, two, other].map((token) => tokens.findAccountId(token, 's')))
    t.same(found, [undefined, undefined, grace.id])
  })

  t.test('an account has a hundred at the most; the oldest goes', async (t) => {
    const [heidi, ivan] = [await create('heidi'), await create('ivan')]
    const other = await tokens.issue(ivan, 's', '')
    const issued: string[] = []
    for (let count = 0; count < 102; count += 1) issued.push(await tokens.issue(heidi, 's', ''))
    const alive = async (token: string) => (await tokens.findAccountId(token, 's')) !== undefined
    t.same(await Promise.all(issued.slice(0, 4).map(alive)), [false, false, true, true])
    t.equal(await alive(issued.at(-1) ?? ''), true)
    t.equal(await alive(other), true, "another account's is not touched")
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
        if (minute % 10 === 0) t.equal(await tokens.findAccountId(inUse, 's'), mallory.id, `minute ${minute}`)
        for (const _ of [1, 2]) await tokens.issue(mallory, 's', 'docker')
      }
      t.equal(await tokens.findAccountId(inUse, 's'), mallory.id)
      t.equal(await tokens.findAccountId(unused, 's'), undefined, 'the unused one made room')
    },
  )

  t.test('whatever a client calls itself, it gets a token', async (t) => {
    const judy = await create('judy')
    for (const client of ['', 'docker', 'ü', "'; drop table accounts; --", 'x'.repeat(5000)]) {
      t.equal(await tokens.findAccountId(await tokens.issue(judy, 's', client), 's'), judy.id)
    }
  })
})
