import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startAuthService } from '../fixtures/auth-service.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'

const { ask } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const errorOf = (response: { json(): { messages: { message: string }[] } }) =>
  response.json().messages[0]?.message

for (const name of ['Zoe', 'abc', 'Bot-1', 'bot-2', 'ci', 'x1', 'x2']) await api.make({ name })

t.test('a list of registry tokens has pages with links, sorted by name', async (t) => {
  const { total } = (await api.list()).json()
  const first = (await api.list('?limit=2')).json()
  t.strictSame(Object.keys(first), [
    'id',
    'type',
    'href',
    'items',
    'count',
    'total',
    'offset',
    'limit',
    '_links',
  ])
  t.match(first, {
    id: api.registry,
    type: 'collection',
    href: api.base,
    count: 2,
    total,
    offset: 0,
    limit: 2,
  })
  const seen: string[] = []
  let next = `${api.base}?limit=2`
  for (let page = 0; next !== '' && page < total; page += 1) {
    const body = (await ask({ url: next, as: 'root' })).json()
    seen.push(...body.items.map((item: { properties: { name: string } }) => item.properties.name))
    next = body['_links'].next
  }
  t.equal(seen.length, total)
  t.strictSame(
    seen,
    seen.toSorted((one, other) => (one.toLowerCase() < other.toLowerCase() ? -1 : 1)),
  )
  const middle = (await api.list('?limit=2&offset=3')).json()
  t.strictSame(middle['_links'], {
    next: `${api.base}?limit=2&offset=5`,
    previous: `${api.base}?limit=2&offset=1`,
    self: `${api.base}?limit=2&offset=3`,
  })
  t.match((await api.list('?offset=1000')).json(), { items: [], count: 0, total, _links: { next: '' } })
  t.match((await api.list('?limit=5000')).json(), { limit: 1000 })
  for (const query of [
    'limit=0',
    'limit=x',
    'limit=-1',
    'offset=-1',
    'offset=1.5',
    'offset=',
    'filter.expiresWithin=0',
  ]) {
    const refused = await api.list(`?${query}`)
    t.equal(refused.statusCode, 400, query)
    t.match(errorOf(refused), new RegExp(`^${query.split('=')[0]} must be a whole number`))
  }
})

t.test(
  'filter.expiresWithin lists registry tokens that expire soon, in the order of their expiry',
  async (t) => {
    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
    await api.make({ name: 'soon-5', expiryDate: inDays(5) })
    await api.make({ name: 'soon-2', expiryDate: inDays(2) })
    await api.make({ name: 'soon-off', expiryDate: inDays(2), status: 'disabled' })
    await api.make({ name: 'not-soon', expiryDate: inDays(9) })
    const soon = (await api.list('?filter.expiresWithin=604800&limit=1')).json()
    t.match(soon, { count: 1, total: 2, items: [{ properties: { name: 'soon-2' } }] })
    const next = (await ask({ url: soon['_links'].next, as: 'root' })).json()
    t.match(next, { count: 1, total: 2, items: [{ properties: { name: 'soon-5' } }] })
  },
)
