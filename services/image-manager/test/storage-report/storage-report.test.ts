import t from 'tap'
import type { ListingTotals } from '../../src/collection/status.ts'
import type { StorageReportPorts } from '../../src/storage-report/storage-report.ts'
import { createStorageReport, splitTrash } from '../../src/storage-report/storage-report.ts'

const amount = (blobs: number, bytes: number) => ({ blobs, bytes })
const LISTING: ListingTotals = {
  beganAt: new Date(0),
  endedAt: new Date(1000),
  stored: amount(10, 1000),
  known: amount(6, 600),
  condemned: amount(2, 200),
  recent: amount(1, 100),
  unknown: amount(1, 100),
  uploads: { count: 1, bytes: 5 },
}

t.test(
  'blobs that only the trash references do not count as known, and the sum stays the same',
  async (t) => {
    for (const [trash, known, inTrash] of [
      [amount(2, 150), amount(4, 450), amount(2, 150)],
      [amount(0, 0), amount(6, 600), amount(0, 0)],
      [amount(9, 900), amount(0, 0), amount(6, 600)],
    ] as const) {
      const totals = splitTrash(LISTING, trash)
      t.same([totals.known, totals.trash], [known, inTrash])
      const parts = [totals.known, totals.trash, totals.condemned, totals.recent, totals.unknown]
      for (const what of ['blobs', 'bytes'] as const)
        t.equal(
          parts.reduce((sum, part) => sum + part[what], 0),
          totals.stored[what],
        )
    }
  },
)

/** Names from `a` on. Measuring a repository takes this many milliseconds. */
function create(count: number, ms: number) {
  const names = Array.from({ length: count }, (_, index) => String.fromCodePoint(97 + index))
  let now = 0
  const ports: StorageReportPorts = {
    collectionStatus: { findListing: async () => undefined },
    storageReport: {
      countAll: async () => ({ namespaces: 1, repositories: count }),
      sumTrash: async () => amount(0, 0),
      listNamespaces: async () => [],
      listRepositories: async (after, limit) =>
        names
          .filter((name) => name > after)
          .slice(0, limit)
          .map((name) => ({ id: name, name })),
      async measureRepository() {
        now += ms
        return { manifests: 1, bytes: 2, frees: 1 }
      },
    },
    monotonic: () => now,
  }
  return createStorageReport(ports)
}

t.test('pages together list every repository once, also if repositories are slow to measure', async (t) => {
  for (const ms of [0, 700, 5000]) {
    const report = create(7, ms)
    const seen: string[] = []
    let after: string | null = ''
    let pages = 0
    while (after !== null) {
      const page: Awaited<ReturnType<typeof report.listRepositories>> = await report.listRepositories(
        after,
        4,
      )
      seen.push(...page.items.map(({ repository }) => repository))
      after = page.next
      pages += 1
    }
    t.equal(seen.join(''), 'abcdefg', `${ms} ms`)
    t.equal(pages, { 0: 2, 700: 3, 5000: 7 }[ms])
  }
})

t.test('before the first listing the totals are null', async (t) => {
  t.same(await create(3, 0).report(), { namespaces: 1, repositories: 3, storage: null })
})
