import t from 'tap'
import { printStorage, sizeText } from '../../storage/print-storage.ts'

const amount = (bytes: number) => ({ blobs: bytes / 10, bytes })
const STORAGE = {
  endedAt: '2026-12-01T00:00:00.000Z',
  stored: amount(1500),
  known: amount(1000),
  trash: amount(200),
  condemned: amount(100),
  recent: amount(150),
  unknown: amount(50),
  uploads: { count: 2, bytes: 30 },
}

/** A server with 450 repositories, in pages of the requested length. Returns the printed lines and the requests. */
async function run(storage: typeof STORAGE | null) {
  const requests: string[] = []
  const lines: string[] = []
  const repositories = Array.from({ length: 450 }, (_, index) => ({
    repository: `team/app${String(index).padStart(3, '0')}`,
    manifests: 1,
    bytes: (index * 7919) % 450,
    frees: 1,
  }))
  const pageOf = (path: string) => {
    const query = new URL(path, 'http://localhost').searchParams
    const rest = repositories.filter(({ repository }) => repository > (query.get('after') ?? ''))
    const items = rest.slice(0, Number(query.get('limit')))
    return { items, next: items.length < rest.length ? items.at(-1)?.repository : null }
  }
  await printStorage(
    {
      async get(path) {
        requests.push(path)
        if (path === '/storage') return { namespaces: 1, repositories: 450, storage } as never
        if (path.startsWith('/storage/repositories')) return pageOf(path) as never
        return { items: [{ namespace: 'team', bytes: 5, repositories: 450 }], next: null } as never
      },
    },
    (line) => lines.push(line),
  )
  return { lines, requests }
}

t.test('the totals and the largest repositories are printed, and all pages are read', async (t) => {
  const { lines, requests } = await run(STORAGE)
  t.match(lines, [
    /listed at 2026-12-01/,
    / 1\.50 kB {2}stored .*: 150 blobs/,
    / 1\.00 kB {2}known/,
    /200 B {2}trash/,
  ])
  const rows = lines.slice(lines.findIndex((line) => line.startsWith('Largest repositories')) + 1)
  t.equal(rows.length, 20)
  t.match(rows[0], / 449 B {2}team\/app\d+: 1 manifests; its deletion frees 1 B/)
  const sizes = rows.map((row) => Number(/(\d+) B/.exec(row)?.[1]))
  t.same(
    sizes,
    Array.from({ length: 20 }, (_, index) => 449 - index),
  )
  t.equal(requests.filter((path) => path.startsWith('/storage/repositories')).length, 3)
})

t.test('without a listing, the largest repositories are printed', async (t) => {
  const { lines } = await run(null)
  t.match(lines[0], /No storage worker has listed the storage yet/)
  t.ok(lines.some((line) => line.includes('team/app')))
})

t.test('printed sizes have three digits', async (t) => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [123_456, '123 kB'],
    [5_678_000_000, '5.68 GB'],
    [2 ** 53, '9.01 PB'],
    [1e18, '1000 PB'],
  ] as const)
    t.equal(sizeText(bytes), text)
})
