import type { RequestContext } from '@registry-manager/http'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { contextToStore, createRecordEvents } from '../src/record-events.ts'

const background = { kind: 'service', id: null, name: 'image-manager' } as const
const jane = { kind: 'user', id: '7', name: 'jane' } as const
const context: RequestContext = { requestId: 'r-1', address: '192.0.2.7', principal: jane }
const push = {
  action: 'push',
  target: { kind: 'tag', repository: 'team/app', tag: '1', digest: 'sha256:aa' },
} as const

await onBothDatabases(t, async (t, db) => {
  const stored = () => db.selectFrom('events').selectAll().orderBy('id').execute()

  t.test('an event has the principal, the address and the request id of the current request', async (t) => {
    await createRecordEvents(db, { principal: background, context: () => context })(push)
    t.match(await stored(), [
      {
        action: 'push',
        outcome: 'done',
        principal_kind: 'user',
        principal_id: '7',
        principal_name: 'jane',
        address: '192.0.2.7',
        request_id: 'r-1',
        target: { ...push.target, name: 'team/app:1' },
        repository: 'team/app',
        account_name: null,
        detail: {},
      },
    ])
  })

  t.test('background work is named by its service, an unauthenticated request is anonymous', async (t) => {
    const before = (await stored()).length
    await createRecordEvents(db, { principal: background, context: () => undefined })(push)
    await createRecordEvents(db, { principal: background, context: () => ({ ...context, principal: null }) })(
      push,
    )
    t.match((await stored()).slice(before), [
      { principal_kind: 'service', principal_name: 'image-manager', address: null, request_id: null },
      { principal_kind: 'anonymous', principal_name: null, address: '192.0.2.7' },
    ])
  })

  t.test(
    'several events are written in order by one statement; an empty list executes no statement',
    async (t) => {
      const before = (await stored()).length
      const record = createRecordEvents(db, { principal: background, context: () => context })
      await record()
      await record(
        {
          action: 'user.update',
          target: { kind: 'user', account: 'bob', id: '9' },
          detail: { role: 'user' },
        },
        {
          action: 'sign-in',
          outcome: 'refused',
          target: { kind: 'user', account: null },
          address: '192.0.2.9',
        },
      )
      t.match((await stored()).slice(before), [
        { account_name: 'bob', account_id: '9', detail: { role: 'user' }, target: { name: 'bob' } },
        { outcome: 'refused', account_name: null, address: '192.0.2.9' },
      ])
    },
  )

  t.test('an event has the context of the request that caused it, where that was stored', async (t) => {
    const before = (await stored()).length
    const record = createRecordEvents(db, {
      principal: background,
      context: () => ({ ...context, requestId: 'r-2' }),
    })
    await record({ ...push, context })
    await record({ ...push, context: null })
    t.match((await stored()).slice(before), [
      { principal_name: 'jane', address: '192.0.2.7', request_id: 'r-1' },
      { principal_kind: 'service', principal_name: 'image-manager', address: null, request_id: null },
    ])
    t.same(JSON.parse(contextToStore(context) ?? ''), context)
    t.equal(contextToStore(undefined), null)
  })

  t.test('more events than one statement has parameters for are recorded', async (t) => {
    const before = (await stored()).length
    await createRecordEvents(db, { principal: background })(...Array.from({ length: 5500 }, () => push))
    t.equal((await stored()).length - before, 5500)
  })

  t.test('a list that is too long for the arguments of a call is recorded', async (t) => {
    const written: number[] = []
    const counting = {
      insertInto: () => ({
        values: (rows: readonly unknown[]) => ({ execute: async () => void written.push(rows.length) }),
      }),
    } as unknown as typeof db
    await createRecordEvents(counting, { principal: background })(Array.from({ length: 300_000 }, () => push))
    t.same([...new Set(written)], [1000])
    t.equal(written.length, 300)
  })

  t.test('names of accounts are stored in lower case, the target has the name as it was given', async (t) => {
    const before = (await stored()).length
    const ci = { kind: 'registry-token', id: '8', name: 'CI' } as const
    const target = { kind: 'registry-token', account: 'CI', id: '8' } as const
    const record = createRecordEvents(db, {
      principal: background,
      context: () => ({ ...context, principal: ci }),
    })
    await record({ action: 'registry-token.rotate', target })
    t.match((await stored()).slice(before), [
      { principal_name: 'ci', account_name: 'ci', target: { account: 'CI' } },
    ])
  })

  t.test('an event of a personal token names its owner and the token', async (t) => {
    const before = (await stored()).length
    const principal = { ...jane, kind: 'personal-token', via: { id: '8', name: 'laptop' } } as const
    const record = createRecordEvents(db, {
      principal: background,
      context: () => ({ ...context, principal }),
    })
    const target = { kind: 'personal-token', account: 'jane', id: '7', token: 'Old', tokenId: '9' } as const
    await record(push, { action: 'personal-token.delete', target, principal: jane })
    t.match((await stored()).slice(before), [
      {
        principal_kind: 'personal-token',
        principal_id: '7',
        principal_name: 'jane',
        principal_via: principal.via,
      },
      { principal_via: null, account_id: '7', account_name: 'jane', target: { ...target, name: 'jane/Old' } },
    ])
  })

  t.test(
    'an event can have its own time, also beside events without one in the same statement',
    async (t) => {
      const before = (await stored()).length
      const time = new Date('2026-11-01T10:00:00Z')
      await createRecordEvents(db, { principal: background, context: () => context })({ ...push, time }, push)
      const [first, second] = (await stored()).slice(before)
      t.same(first?.time, time)
      t.ok(second !== undefined && second.time > time)
    },
  )

  t.test('an event does not exist if its transaction is rolled back', async (t) => {
    const before = (await stored()).length
    const rolledBack = db.transaction().execute(async (tx) => {
      await createRecordEvents(tx, { principal: background, context: () => context })(push)
      throw new Error('rolled back')
    })
    await t.rejects(rolledBack, { message: 'rolled back' })
    t.equal((await stored()).length, before)
  })
})
