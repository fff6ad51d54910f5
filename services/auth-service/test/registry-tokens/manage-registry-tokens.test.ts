import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { createAccounts } from '../../src/accounts/index.ts'
import { createInstallationRepository } from '../../src/provider-api/installation-repository.ts'
import { createRegistryTokenManagement } from '../../src/registry-tokens/index.ts'
import type { Refused, WithPassword } from '../../src/registry-tokens/manage-registry-tokens.ts'
import type { RegistryTokenInput } from '../../src/registry-tokens/plan-registry-token.ts'
import { hashSecret } from '../../src/principals/secret-hash.ts'
import { createRegistryTokensRepository } from '../../src/registry-tokens/registry-tokens-repository.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const BY = { id: '0b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11', username: 'root' }
const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000'
const WINDOW_MS = 1_000_000
const scopes = [{ type: 'repository', name: 'team/*', actions: ['pull', 'push'] }]

void onBothDatabases(t, async (t, db) => {
  const clock = { now: Date.parse('2026-11-21T12:00:00Z') }
  const now = () => clock.now
  const repository = createRegistryTokensRepository(db)
  const reported: [id: string, lowestGeneration: number][] = []
  const tokens = createRegistryTokenManagement(db, now, WINDOW_MS, (...one) => reported.push(one))
  const users = createAccounts(db, fakeHasher)
  const create = async (name: string, change: Partial<RegistryTokenInput> = {}) =>
    expectPassword(await tokens.create({ name, scopes, ...change }, BY))
  const rotate = async (id: string, overlapMs: number, input: RegistryTokenInput | null = null) =>
    expectPassword(await tokens.replace(id, input, overlapMs, BY))
  const change = async (id: string, input: Parameters<typeof tokens.change>[1]) => {
    const result = await tokens.change(id, input, BY)
    return result.outcome === 'changed' ? result.registryToken : result
  }
  const leastOf = async (id: string) => (await users.revocationsSince(new Date(0))).generations.get(id)
  const hashesOf = async (name: string) =>
    (await repository.findForSignIn(name))?.secrets.map(({ hash, until }) => [hash.toString('hex'), until])
  const hash = (password: string) => hashSecret(password).toString('hex')

  await t.test('a registry token is stored as it was created', async (t) => {
    const expiresAt = new Date('2026-12-01T00:00:00Z')
    const { registryToken, password } = await create('Deploy-Bot', { expiryDate: '2026-12-01T00:00:00Z' })
    t.match(registryToken, {
      username: 'Deploy-Bot',
      scopes,
      expiresAt,
      enabled: true,
      generation: 1,
      createdBy: BY,
    })
    t.strictSame([registryToken.modified, registryToken.lastUsed], [undefined, undefined])
    t.strictSame(await tokens.find(registryToken.id), registryToken)
    const { id, username, generation, enabled } = registryToken
    t.strictSame(await repository.findForSignIn('deploy-bot'), {
      id,
      username,
      scopes,
      grants: [],
      enabled,
      generation,
      expiresAt,
      secrets: [{ hash: hashSecret(password), until: null }],
    })
    t.equal(await repository.findForSignIn('Deploy-Bot'), undefined, 'names are searched in lower case')
    t.equal(await repository.findForSignIn('nobody'), undefined)
  })

  await t.test('registry tokens and users share one name space', async (t) => {
    await users.create(planUser('jane'))
    for (const name of ['jane', 'JANE', 'Deploy-Bot', 'DEPLOY-bot']) {
      t.strictSame(await tokens.create({ name, scopes }, BY), { outcome: 'taken' }, name)
    }
    t.strictSame(await users.create(planUser('deploy-bot')), { refused: 'taken' })
    const { items, total } = await tokens.list({ offset: 0, limit: 10 })
    t.strictSame([items.length, total], [1, 1], 'a refused registry token leaves no row')
  })

  await t.test('registry tokens are not users, and users are not registry tokens', async (t) => {
    const { registryToken } = await create('not-a-user')
    t.equal(await users.find('not-a-user'), undefined)
    t.equal(await users.find({ id: registryToken.id }), undefined)
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
    t.equal(await tokens.find(jane?.id ?? ''), undefined)
    t.equal(await repository.findForSignIn('jane'), undefined)
  })

  await t.test('the database refuses a registry token with the rights of a user', async (t) => {
    const { registryToken } = await create('stays-small')
    const set = (columns: object) =>
      db.updateTable('accounts').set(columns).where('id', '=', registryToken.id).execute()
    await t.rejects(set({ role: 'cluster-administrator' }))
    await t.rejects(set({ namespaces: ['team'] }))
    await t.rejects(set({ password_hash: 'x' }))
  })

  await t.test('a change of status, expiry or scopes ends issued access tokens', async (t) => {
    const { id } = (await create('changes')).registryToken
    const unchanged = await change(id, { status: 'enabled', scopes })
    t.match(unchanged, { generation: 1, modified: { by: BY, at: new Date(clock.now) } })
    t.equal(await leastOf(id), undefined, 'equal values end nothing')
    t.match(await change(id, { status: 'disabled' }), { enabled: false, generation: 2, scopes })
    t.equal(await leastOf(id), 2)
    const expiresAt = new Date('2026-12-24T00:00:00Z')
    t.match(await change(id, { expiryDate: '2026-12-24T00:00:00Z' }), {
      expiresAt,
      enabled: false,
      generation: 3,
    })
    t.match(await change(id, { expiryDate: null }), { expiresAt: null, generation: 4 })
    const fewer = [{ ...scopes[0]!, actions: ['pull'] }]
    t.match(await change(id, { scopes: fewer }), { scopes: fewer, generation: 5 })
    t.equal(await leastOf(id), 5)
    t.strictSame(await change(UNKNOWN_ID, { status: 'enabled' }), { outcome: 'absent' })
    t.match(await change(id, { expiryDate: 'x' }), { outcome: 'invalid', fault: { field: 'expiryDate' } })
  })

  await t.test('a rotation without overlap ends the old password and its access tokens', async (t) => {
    const { registryToken, password: first } = await create('rotates')
    const second = await rotate(registryToken.id, 0)
    t.match(second.registryToken, { generation: 2, scopes, modified: { by: BY } })
    t.strictSame(await hashesOf('rotates'), [[hash(second.password), null]], 'the old password is gone')
    t.not(second.password, first)
    t.equal(await leastOf(registryToken.id), 2)
  })

  await t.test('a rotation with an overlap keeps the old password for that time', async (t) => {
    const { registryToken, password: first } = await create('overlaps')
    const { id } = registryToken
    const second = await rotate(id, WINDOW_MS)
    const until = new Date(clock.now + WINDOW_MS)
    t.strictSame(await hashesOf('overlaps'), [
      [hash(second.password), null],
      [hash(first), until],
    ])
    t.equal(second.registryToken.generation, 1, 'a long overlap ends nothing')
    const third = await rotate(id, WINDOW_MS)
    t.match(
      await hashesOf('overlaps'),
      [[hash(third.password)], [hash(second.password)]],
      'there are two passwords at the most',
    )
    t.equal(third.registryToken.generation, 2, 'the first password ended')
    clock.now += WINDOW_MS
    t.equal((await rotate(id, WINDOW_MS)).registryToken.generation, 2, 'the second password had expired')
    clock.now += WINDOW_MS
    t.equal(
      (await rotate(id, 1000)).registryToken.generation,
      3,
      'access tokens of the old password could outlive a short overlap',
    )
    t.equal((await hashesOf('overlaps'))?.length, 2, 'both passwords work')
    clock.now += 1000
    const input = { name: 'overlaps', status: 'disabled', scopes } as const
    t.match((await rotate(id, WINDOW_MS, input)).registryToken, { enabled: false, generation: 4 })
    t.strictSame(await tokens.replace(UNKNOWN_ID, null, WINDOW_MS, BY), { outcome: 'absent' })
    const renamed = await tokens.replace(id, { name: 'other' }, 0, BY)
    t.match(renamed, { outcome: 'invalid', fault: { field: 'name' } })
  })

  await t.test('a deleted registry token leaves its revocation', async (t) => {
    const { id } = (await create('goes')).registryToken
    t.equal(await tokens.delete(id), true)
    t.equal(await leastOf(id), 2)
    t.strictSame(reported.at(-1), [id, 2], 'this process learns of it without a poll')
    t.equal(await tokens.delete(id), false)
    t.equal(await repository.findForSignIn('goes'), undefined)
    t.not((await create('goes')).registryToken.id, id, 'a new one of the same name has another id')
    const restored = await tokens.replace(id, { name: 'restored', scopes }, 0, BY)
    t.match(restored, { outcome: 'created', registryToken: { id, generation: 2 } }, 'put back under its id')
  })

  await t.test('a list has pages, and can be limited to registry tokens that expire soon', async (t) => {
    await db.deleteFrom('accounts').where('kind', '=', 'token').execute()
    const inDays = (days: number) => new Date(clock.now + days * 86_400_000)
    const expiresIn = (days: number) => ({ expiryDate: inDays(days).toISOString() })
    await create('b-later', expiresIn(20))
    await create('A-never')
    await create('c-soon', expiresIn(3))
    await create('d-sooner', expiresIn(1))
    const past = await create('e-past')
    await change(past.registryToken.id, expiresIn(-1))
    await create('f-disabled', { ...expiresIn(2), status: 'disabled' })
    const names = async (list: Parameters<typeof tokens.list>[0]) =>
      (await tokens.list(list)).items.map(({ username }) => username)
    const all = ['A-never', 'b-later', 'c-soon', 'd-sooner', 'e-past', 'f-disabled']
    t.strictSame(await names({ offset: 0, limit: 10 }), all)
    t.strictSame(await names({ offset: 2, limit: 2 }), ['c-soon', 'd-sooner'])
    t.equal((await tokens.list({ offset: 2, limit: 2 })).total, 6, 'the total counts all pages')
    const expiring = { after: inDays(0), until: inDays(7) }
    t.strictSame(await names({ offset: 0, limit: 10, expiring }), ['d-sooner', 'c-soon'])
    t.strictSame(await names({ offset: 1, limit: 10, expiring }), ['c-soon'])
    t.equal((await tokens.list({ offset: 0, limit: 1, expiring })).total, 2)
    t.strictSame(await repository.countByState(inDays(0), [inDays(1), inDays(7), inDays(30)]), {
      states: { enabled: 4, disabled: 1, expired: 1 },
      expiring: [1, 2, 3],
    })
  })

  await t.test('last uses are saved in one batch; an older use replaces no newer one', async (t) => {
    const one = (await create('used-1')).registryToken
    const other = (await create('used-2')).registryToken
    const at = (seconds: number) => new Date(clock.now + seconds * 1000)
    await repository.saveUses([
      { id: one.id, at: at(10), address: '10.0.0.1' },
      { id: other.id, at: at(20), address: '2001:db8::1' },
      { id: UNKNOWN_ID, at: at(20), address: '10.0.0.1' },
    ])
    t.match(await tokens.find(one.id), { lastUsed: { at: at(10), address: '10.0.0.1' } })
    t.match(await tokens.find(other.id), { lastUsed: { at: at(20), address: '2001:db8::1' } })
    await repository.saveUses([{ id: one.id, at: at(5), address: '10.0.0.9' }])
    t.match(await tokens.find(one.id), { lastUsed: { at: at(10), address: '10.0.0.1' } })
  })

  await t.test('there is one installation, and its id never changes', async (t) => {
    const first = await createInstallationRepository(db).find()
    t.match(first, { id: /^[0-9a-f]{8}-[0-9a-f]{4}-4/, createdAt: Date })
    t.strictSame(await createInstallationRepository(db).find(), first)
    t.equal((await db.selectFrom('installation').select('id').execute()).length, 1)
  })
})

/** Returns a result with a password; throws any other. */
function expectPassword(result: ({ readonly outcome: string } & WithPassword) | Refused): WithPassword {
  if (!('password' in result)) throw new Error(JSON.stringify(result))
  return result
}
