import { connectPostgres } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import { createRecordEvents } from '@registry-manager/events'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import t from 'tap'
import { createEventsRepository, selectEvents } from '../../src/audit/events-repository.ts'
import type { EventFilter } from '../../src/audit/list-events.ts'
import { AUTH_SERVICE } from '../../src/principals/principal.ts'

const jane = { kind: 'user', id: 'id-of-jane', name: 'jane' } as const
const ci = { kind: 'registry-token', id: 'id-of-ci', name: 'CI' } as const
const at = (minute: number) => new Date(Date.UTC(2026, 10, 29, 12, minute))

/** One event each minute, in this order. */
const EVENTS: readonly NewEvent[] = [
  {
    action: 'push',
    principal: ci,
    target: { kind: 'tag', repository: 'team/app', tag: '1', digest: 'sha256:a' },
  },
  {
    action: 'push',
    principal: jane,
    target: { kind: 'manifest', repository: 'team/app', digest: 'sha256:b' },
  },
  { action: 'tag.delete', principal: jane, target: { kind: 'tag', repository: 'team/app', tag: '1' } },
  {
    action: 'manifest.delete',
    principal: ci,
    target: { kind: 'manifest', repository: 'team/app', digest: 'sha256:a' },
    detail: { one: { from: null, to: [1] } },
  },
  { action: 'push', principal: ci, target: { kind: 'tag', repository: 'other/app', tag: '1' } },
  { action: 'user.update', principal: jane, target: { kind: 'user', account: 'bob', id: 'id-of-bob' } },
  {
    action: 'user.delete',
    principal: jane,
    target: { kind: 'user', account: 'id-of-bob', id: 'another-id' },
  },
  { action: 'sign-in', outcome: 'refused', target: { kind: 'user', account: 'bob', id: 'id-of-bob' } },
  { action: 'repository.delete', target: { kind: 'repository', repository: 'team/app' }, outcome: 'failed' },
  {
    action: 'registry-token.rotate',
    principal: jane,
    target: { kind: 'registry-token', account: 'CI', id: 'id-of-ci' },
  },
]

/** The minutes of the events that match, newest first. */
const FILTERS: readonly (readonly [filter: EventFilter, minutes: readonly number[]])[] = [
  [{}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
  [{ principal: 'jane' }, [9, 6, 5, 2, 1]],
  [{ principal: 'id-of-jane' }, [9, 6, 5, 2, 1]],
  [{ principal: 'ci' }, [4, 3, 0]],
  [{ principal: 'auth-service' }, [8, 7]],
  [{ action: 'push' }, [4, 1, 0]],
  [{ repository: 'team/app' }, [8, 3, 2, 1, 0]],
  [{ repository: 'team/app', tag: '1' }, [8, 2, 0]],
  [{ repository: 'team/app', tag: '2' }, [8]],
  [{ repository: 'team/app', digest: 'sha256:a' }, [3, 0]],
  [{ account: 'bob' }, [7, 5]],
  // A name can have the form of an id.
  [{ account: 'id-of-bob' }, [7, 6, 5]],
  [{ account: 'ci' }, [9]],
  [{ outcome: 'refused' }, [7]],
  [{ outcome: 'failed' }, [8]],
  [{ outcome: 'done' }, [9, 6, 5, 4, 3, 2, 1, 0]],
  [{ since: at(8) }, [9, 8]],
  [{ until: at(2) }, [1, 0]],
  [{ since: at(2), until: at(4) }, [3, 2]],
  [{ principal: 'jane', account: 'id-of-bob', action: 'user.update' }, [5]],
  [{ principal: 'jane', since: at(5), until: at(9) }, [6, 5]],
  [{ account: 'bob', principal: 'id-of-jane' }, [5]],
  [{ repository: 'team/app', outcome: 'failed' }, [8]],
  [{ action: 'push', outcome: 'done', since: at(1) }, [4, 1]],
  [{ principal: 'nobody' }, []],
  [{ repository: 'team' }, []],
]

await onBothDatabases(t, async (t, db) => {
  const { find } = createEventsRepository(db)
  await createRecordEvents(db, { principal: AUTH_SERVICE })(
    ...EVENTS.map((event, minute) => ({ ...event, time: at(minute) })),
  )

  for (const [filter, minutes] of FILTERS) {
    await t.test(`the filter ${JSON.stringify(filter)} finds exactly its events, newest first`, async (t) => {
      const found = await find(filter, undefined, 100)
      t.strictSame(
        found.map(({ time }) => time.getUTCMinutes()),
        minutes,
      )
      const [first] = await find(filter, undefined, 1)
      t.equal(first?.time.getUTCMinutes(), minutes[0], 'a limit keeps the newest')
      const rest = await find(filter, first?.position, 100)
      t.strictSame(
        rest.map(({ time }) => time.getUTCMinutes()),
        first === undefined ? minutes : minutes.slice(1),
        'the next page begins after the last event',
      )
    })
  }

  await t.test('an event is read as it was recorded', async (t) => {
    const [event] = await find({ action: 'manifest.delete' }, undefined, 1)
    t.match(event?.position, { micros: String(at(3).getTime() * 1000), id: /^\d+$/ })
    const { position: _, ...rest } = event ?? {}
    t.strictSame(rest, {
      time: at(3),
      action: 'manifest.delete',
      principal: { kind: 'registry-token', id: 'id-of-ci', name: 'ci' },
      address: null,
      requestId: null,
      target: { kind: 'manifest', name: 'team/app@sha256:a', repository: 'team/app', digest: 'sha256:a' },
      outcome: 'done',
      detail: { one: { from: null, to: [1] } },
    })
  })

  await t.test('events of the same time keep an order over pages, to the microsecond', async (t) => {
    await db.deleteFrom('events').execute()
    await sql`insert into events (time, action, outcome, principal_kind, target)
      select timestamptz '2026-11-29 12:00:00.123456Z' + (n / 3) * interval '1 microsecond', 'push', 'done', 'user', '{}'
      from generate_series(1, 30) n`.execute(db)
    const ids: number[] = []
    for (let [page, after] = [await find({}, undefined, 4), undefined as unknown]; page.length > 0;) {
      ids.push(...page.map(({ position }) => Number(position.id)))
      after = page.at(-1)?.position
      page = await find({}, after as never, 4)
    }
    t.strictSame(
      ids,
      ids.toSorted((one, other) => other - one),
    )
    t.equal(new Set(ids).size, 30)
  })
})

t.test('every filter reads its own index, in the order of pages', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  await sql`
    insert into events (time, action, outcome, principal_kind, principal_id, principal_name, repository, account_id,
      account_name, target)
    select timestamptz '2026-01-01Z' + n * interval '1 second', case when n % 100 = 0 then 'tag.delete' else 'push' end,
      case when n % 100 = 1 then 'refused' else 'done' end, 'user', 'id-' || n % 20, 'name-' || n % 20,
      case when n < 3000 then 'team/old' else 'team/app-' || n % 20 end, 'id-' || n % 20, 'name-' || n % 20, '{}'
    from generate_series(1, 30000) n`.execute(db)
  await sql`vacuum analyze events`.execute(db)

  const cases: readonly (readonly [filter: EventFilter, ...indexes: string[]])[] = [
    [{}, 'events_by_time'],
    [{ since: new Date('2026-01-01T01:00:00Z'), until: new Date('2026-01-01T02:00:00Z') }, 'events_by_time'],
    [{ action: 'tag.delete' }, 'events_by_action'],
    [{ outcome: 'refused' }, 'events_by_outcome'],
    [{ principal: 'name-7' }, 'events_by_principal_name', 'events_by_principal_id'],
    [{ account: 'name-7' }, 'events_by_account_name', 'events_by_account_id'],
    [{ repository: 'team/app-7' }, 'events_by_repository'],
    [{ repository: 'team/app-7', since: new Date('2026-01-01T04:50:00Z') }, 'events_by_repository'],
    // A value whose last event is old.
    [{ repository: 'team/old' }, 'events_by_repository'],
  ]
  const after = { micros: String(Date.parse('2026-01-01T05:00:00Z') * 1000), id: '18000' }
  for (const [filter, ...indexes] of cases) {
    for (const position of [undefined, after]) {
      const page = selectEvents(filter, position, 51)
      const { rows } = await sql<{
        'QUERY PLAN': string
      }>`explain (analyze, costs off, timing off, summary off) ${page}`.execute(db)
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      const used = [...plan.matchAll(/Index (?:Only )?Scan (?:Backward )?using (\w+)/g)].map(
        ([, name]) => name,
      )
      t.strictSame(used.toSorted(), indexes.toSorted(), `${JSON.stringify(filter)}\n${plan}`)
      t.notMatch(plan, /Seq Scan|Bitmap/)
      const read = [...plan.matchAll(/events \(actual rows=(\d+)/g)].map(([, count]) => Number(count))
      t.ok(
        read.every((count) => count <= 51),
        'no more events are read than the page has',
      )
      t.notMatch(plan, /Rows Removed by Filter/)
    }
  }
})
