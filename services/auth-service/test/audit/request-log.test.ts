import type { NewEvent } from '@registry-manager/events'
import t from 'tap'
import { createRequestLog } from '../../src/audit/request-log.ts'

const START = Date.parse('2026-11-29T12:00:00Z')

function build() {
  const events: NewEvent[] = []
  const log = createRequestLog({
    recordEvents: async (...added) => void events.push(...added),
    now: () => START,
    onError: (error) => {
      throw error
    },
    context: () => ({ requestId: 'r-1' }),
  })
  const note = (account: string, address: string, path = '/user') =>
    log.note({
      principal: { kind: 'user', id: `id-${account}`, name: account },
      address,
      method: 'POST',
      path,
    })
  return { events, log, note }
}

const shown = ({ principal, address, target, detail }: NewEvent) => [
  principal?.name,
  address,
  'path' in target ? target.path : undefined,
  detail?.['reason'],
  detail?.['count'],
]

t.test('refused requests are recorded by account, network and route, with their count', async (t) => {
  const { events, log, note } = build()
  for (const address of ['192.0.2.7', '2001:db8:1:2::1', '2001:db8:1:2::2', '192.0.2.7'])
    note('jane', address)
  note('jane', '192.0.2.7', '/user/password')
  note('bob', '192.0.2.7')
  await log.flush()
  t.strictSame(events.map(shown), [
    ['jane', '192.0.2.7', '/user', undefined, 2],
    ['jane', '2001:db8:1:2::/64', '/user', undefined, 2],
    ['jane', '192.0.2.7', '/user/password', undefined, 1],
    ['bob', '192.0.2.7', '/user', undefined, 1],
  ])
})

t.test('one account at many addresses makes few events, which name it and hide no others', async (t) => {
  const { events, log, note } = build()
  for (let at = 0; at < 1000; at += 1) note('jane', `10.0.${at >> 8}.${at & 255}`)
  note('bob', '192.0.2.7')
  await log.flush()
  t.equal(events.length, 12)
  t.strictSame(events.slice(10).map(shown), [
    ['jane', undefined, '/user', 'flood', 990],
    ['bob', '192.0.2.7', '/user', undefined, 1],
  ])
})

t.test(
  'refused requests of too many accounts are counted together, without account and address',
  async (t) => {
    const { events, log, note } = build()
    for (let at = 0; at < 1000; at += 1) note(`user-${at}`, '192.0.2.7')
    await log.flush()
    t.equal(events.length, 301)
    t.strictSame(shown(events.at(-1) as NewEvent), [null, undefined, '/user', 'flood', 700])
  },
)
