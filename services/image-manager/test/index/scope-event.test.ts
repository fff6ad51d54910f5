import t from 'tap'
import { eventsIn, withoutEvents } from '../fixtures/events.ts'
import { startImageManager } from '../fixtures/image-manager.ts'

const { ask, fill, db } = await startImageManager(t)
const setScope = (scope: string) =>
  ask('/team/app', { as: 'alice', method: 'PUT', payload: JSON.stringify({ scope }) })
const scope = async () =>
  (await db.selectFrom('repositories').select('scope').executeTakeFirstOrThrow()).scope

t.test('a change of the scope has an event with both scopes; the same scope again has none', async (t) => {
  await fill({ 'team/app': 'namespace' })
  for (const value of ['namespace', 'global', 'global', 'namespace'])
    t.equal((await setScope(value)).statusCode, 200)
  const events = await eventsIn(db)
  const change = {
    action: 'repository.scope',
    outcome: 'done',
    principal_kind: 'user',
    principal_id: 'alice',
    principal_name: 'alice',
    address: '127.0.0.1',
    request_id: /^[0-9a-f-]{36}$/,
    repository: 'team/app',
    target: { kind: 'repository', repository: 'team/app', name: 'team/app' },
  }
  t.match(events, [
    { ...change, detail: { from: 'namespace', to: 'global' } },
    { ...change, detail: { from: 'global', to: 'namespace' } },
  ])
  t.equal(events.length, 2)
})

t.test('the scope stays if its event cannot be stored', async (t) => {
  await fill({ 'team/app': 'namespace' })
  await withoutEvents(db, async () => t.equal((await setScope('global')).statusCode, 500))
  t.equal(await scope(), 'namespace')
})

t.test('a refused change of the scope has no event', async (t) => {
  const before = (await eventsIn(db)).length
  await fill({ 'other/app': 'global' })
  const refused = await ask('/other/app', { as: 'alice', method: 'PUT', payload: '{"scope":"namespace"}' })
  t.equal(refused.statusCode, 403)
  t.equal((await eventsIn(db)).length, before)
})
