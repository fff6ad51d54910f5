import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createRevocationsRepository } from '../../src/accounts/revocations-repository.ts'
import { createInstallation } from '../../src/provider-api/installation.ts'
import { createRegistryTokensStore } from '../../src/registry-tokens/manage-registry-tokens.ts'
import { createAccounts } from '../../src/accounts/index.ts'
import type { TokenPlan } from '../../src/registry-tokens/plan-registry-token.ts'
import { hashTokenSecret } from '../../src/registry-tokens/registry-token-secret.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const BY = { id: '0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11', username: 'root' }
const ISSUED_LASTS_MS = 1_000_000
const scopes = [{ type: 'repository', name: 'team/*', actions: ['pull', 'push'] }]
const plan = (name: string, change: Partial<TokenPlan> = {}): TokenPlan => ({
  name,
  scopes,
  expiresAt: null,
  enabled: true,
  ...change,
})

void onBothDatabases(t, async (t, db) => {
  const clock = { now: Date.parse('2026-11-21T12:00:00Z') }
  const now = () => clock.now
  const tokens = createRegistryTokensStore(db, now, ISSUED_LASTS_MS)
  const revocations = createRevocationsRepository(db)
  const users = createAccounts(db, fakeHasher)
  const make = async (name: string, change: Partial<TokenPlan> = {}) => {
    const made = await tokens.create(plan(name, change), BY)
    if (made === undefined) throw new Error(`${name} is taken`)
    return made
  }
  const leastOf = async (id: string) => (await revocations.revocationsSince(new Date(0))).get(id)
  const hashesOf = async (name: string) =>
    (await tokens.findForSignIn(name))?.secrets.map(({ hash, until }) => [hash.toString('hex'), until])
  const hash = (password: string) => hashTokenSecret(password).toString('hex')

  await t.test('a token comes back as it was made', async (t) => {
    const expiresAt = new Date('2026-12-01T00:00:00Z')
    const { token, password } = await make('Deploy-Bot', { expiresAt })
    t.match(token, { username: 'Deploy-Bot', scopes, expiresAt, enabled: true, generation: 1, createdBy: BY })
    t.strictSame([token.modified, token.lastUsed], [undefined, undefined])
    t.strictSame(await tokens.findById(token.id), token)
    const { id, username, generation, enabled } = token
    t.strictSame(await tokens.findForSignIn('deploy-bot'), {
      id,
      username,
      scopes,
      enabled,
      generation,
      expiresAt,
      secrets: [{ hash: hashTokenSecret(password), until: null }],
    })
    t.equal(await tokens.findForSignIn('Deploy-Bot'), undefined, 'found in lower case')
    t.equal(await tokens.findForSignIn('nobody'), undefined)
  })

  await t.test('tokens and users have one name space', async (t) => {
    await users.create(planUser('jane'))
    for (const name of ['jane', 'JANE', 'Deploy-Bot', 'DEPLOY-bot']) {
      t.equal(await tokens.create(plan(name), BY), undefined, name)
    }
    t.strictSame(await users.create(planUser('deploy-bot')), { refused: 'taken' })
    t.equal((await tokens.list({ offset: 0, limit: 10 })).length, 1, 'nothing was half made')
  })

  await t.test('tokens are no users', async (t) => {
    const { token } = await make('not-a-user')
    t.equal(await users.find('not-a-user'), undefined)
    t.equal(await users.find({ id: token.id }), undefined)
    t.strictSame(
      (await users.list(0, 10)).map(({ username }) => username),
      ['jane'],
    )
    t.equal(await users.count(), 1)
    for (const refused of [
      await users.delete('not-a-user'),
      await users.change('not-a-user', { enabled: false }),
    ]) {
      t.strictSame(refused, { refused: 'absent' })
    }
    const jane = await users.find('jane')
    t.equal(await tokens.findById(jane?.id ?? ''), undefined, 'nor users tokens')
    t.equal(await tokens.findForSignIn('jane'), undefined)
  })

  await t.test('the database refuses a token with the rights of a user', async (t) => {
    const { token } = await make('stays-small')
    const set = (change: object) =>
      db.updateTable('accounts').set(change).where('id', '=', token.id).execute()
    await t.rejects(set({ role: 'cluster-administrator' }))
    await t.rejects(set({ namespaces: ['team'] }))
    await t.rejects(set({ password_hash: 'x' }))
  })

  await t.test('changes, and what they end', async (t) => {
    const { token } = await make('changes')
    const { id } = token
    const unchanged = await tokens.change(id, { enabled: true, scopes }, BY)
    t.match(unchanged, { generation: 1, modified: { by: BY, at: new Date(clock.now) } })
    t.equal(await leastOf(id), undefined, 'nothing was ended')
    t.match(await tokens.change(id, { enabled: false }, BY), { enabled: false, generation: 2, scopes })
    t.equal(await leastOf(id), 2)
    const expiresAt = new Date('2026-12-24T00:00:00Z')
    t.match(await tokens.change(id, { expiresAt }, BY), { expiresAt, enabled: false, generation: 3 })
    t.match(await tokens.change(id, { expiresAt: null }, BY), { expiresAt: null, generation: 4 })
    const fewer = [{ ...scopes[0]!, actions: ['pull'] }]
    t.match(await tokens.change(id, { scopes: fewer }, BY), { scopes: fewer, generation: 5 })
    t.equal(await leastOf(id), 5)
    t.equal(await tokens.change('00000000-0000-4000-8000-000000000000', { enabled: true }, BY), undefined)
  })

  await t.test('a rotation', async (t) => {
    const { token, password: first } = await make('rotates')
    const second = await tokens.rotate(token.id, { overlapMs: 0 }, BY)
    t.match(second?.token, { generation: 2, scopes, modified: { by: BY } })
    t.strictSame(await hashesOf('rotates'), [[hash(second!.password), null]], 'the old one is gone')
    t.not(second?.password, first)
    t.equal(await leastOf(token.id), 2, 'and what was had with it')
  })

  await t.test('a rotation with an overlap', async (t) => {
    const { token, password: first } = await make('overlaps')
    const long = { overlapMs: ISSUED_LASTS_MS }
    const second = await tokens.rotate(token.id, long, BY)
    const until = new Date(clock.now + ISSUED_LASTS_MS)
    t.strictSame(await hashesOf('overlaps'), [
      [hash(second!.password), null],
      [hash(first), until],
    ])
    t.equal(second?.token.generation, 1, 'nothing has to end')
    const third = await tokens.rotate(token.id, long, BY)
    t.match(
      await hashesOf('overlaps'),
      [[hash(third!.password)], [hash(second!.password)]],
      'two at the most',
    )
    t.equal(third?.token.generation, 2, 'the first one ended')
    clock.now += ISSUED_LASTS_MS
    t.equal((await tokens.rotate(token.id, long, BY))?.token.generation, 2, 'the second had ended by itself')
    clock.now += ISSUED_LASTS_MS
    const short = await tokens.rotate(token.id, { overlapMs: 1000 }, BY)
    t.equal(short?.token.generation, 3, 'what was issued could outlive a short overlap')
    t.equal((await hashesOf('overlaps'))?.length, 2, 'but both passwords work')
    clock.now += 1000
    const change = { enabled: false, scopes, expiresAt: null }
    t.match((await tokens.rotate(token.id, { ...long, change }, BY))?.token, {
      enabled: false,
      generation: 4,
    })
    t.equal(await tokens.rotate('00000000-0000-4000-8000-000000000000', long, BY), undefined)
  })

  await t.test('a deleted token leaves its revocation', async (t) => {
    const { token } = await make('goes')
    t.equal(await tokens.delete(token.id), true)
    t.equal(await leastOf(token.id), 2)
    t.equal(await tokens.delete(token.id), false)
    t.equal(await tokens.findForSignIn('goes'), undefined)
    const again = await make('goes')
    t.not(again.token.id, token.id, 'made again it is another one')
  })

  await t.test('pages, and what ends soon', async (t) => {
    await db.deleteFrom('accounts').where('kind', '=', 'token').execute()
    const inDays = (days: number) => new Date(clock.now + days * 86_400_000)
    await make('b-later', { expiresAt: inDays(20) })
    await make('A-never')
    await make('c-soon', { expiresAt: inDays(3) })
    await make('d-sooner', { expiresAt: inDays(1) })
    await make('e-past', { expiresAt: inDays(-1) })
    await make('f-disabled', { expiresAt: inDays(2), enabled: false })
    const names = async (page: Parameters<typeof tokens.list>[0]) =>
      (await tokens.list(page)).map(({ username }) => username)
    const all = ['A-never', 'b-later', 'c-soon', 'd-sooner', 'e-past', 'f-disabled']
    t.strictSame(await names({ offset: 0, limit: 10 }), all)
    t.strictSame(await names({ offset: 2, limit: 2 }), ['c-soon', 'd-sooner'])
    t.equal(await tokens.count({ offset: 2, limit: 2 }), 6, 'all are counted')
    const expiring = { after: inDays(0), until: inDays(7) }
    t.strictSame(await names({ offset: 0, limit: 10, expiring }), ['d-sooner', 'c-soon'])
    t.strictSame(await names({ offset: 1, limit: 10, expiring }), ['c-soon'])
    t.equal(await tokens.count({ offset: 0, limit: 1, expiring }), 2)
    t.strictSame(await tokens.census(inDays(0), [inDays(1), inDays(7), inDays(30)]), {
      states: { enabled: 4, disabled: 1, expired: 1 },
      ending: [1, 2, 3],
    })
  })

  await t.test('uses are written for all at once, and never backwards', async (t) => {
    const [one, other] = [await make('used-1'), await make('used-2')]
    const at = (seconds: number) => new Date(clock.now + seconds * 1000)
    const gone = '00000000-0000-4000-8000-000000000000'
    await tokens.writeUses([
      { id: one.token.id, at: at(10), address: '10.0.0.1' },
      { id: other.token.id, at: at(20), address: '2001:db8::1' },
      { id: gone, at: at(20), address: '10.0.0.1' },
    ])
    t.match(await tokens.findById(one.token.id), { lastUsed: { at: at(10), address: '10.0.0.1' } })
    t.match(await tokens.findById(other.token.id), { lastUsed: { at: at(20), address: '2001:db8::1' } })
    await tokens.writeUses([{ id: one.token.id, at: at(5), address: '10.0.0.9' }])
    t.match(await tokens.findById(one.token.id), { lastUsed: { at: at(10), address: '10.0.0.1' } })
  })

  await t.test('the installation is one, and stays', async (t) => {
    const first = await createInstallation(db)()
    t.match(first, { id: /^[0-9a-f]{8}-[0-9a-f]{4}-4/, createdAt: Date })
    t.strictSame(await createInstallation(db)(), first)
    t.equal((await db.selectFrom('installation').select('id').execute()).length, 1)
  })
})
