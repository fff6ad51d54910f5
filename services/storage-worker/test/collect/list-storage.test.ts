import t from 'tap'
import { createListStorage } from '../../src/collect/list-storage.ts'
import type { RepositoryEntry, StoredBlob } from '../../src/storage/storage.ts'

const digest = (number: number) => `sha256:${number.toString(16).padStart(64, '0')}`
const blob = (number: number): StoredBlob => ({ digest: digest(number), bytes: 1, modifiedAt: new Date(0) })
const link = (number: number): RepositoryEntry => ({ kind: 'link', digest: digest(number) })
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

async function* batchesOf<Entry>(...batches: (readonly Entry[] | Error)[]): AsyncIterable<readonly Entry[]> {
  for (const batch of batches) {
    if (batch instanceof Error) throw batch
    yield batch
  }
}

/** The clock advances by `stepMs` each time it is read. */
function create(
  blobs: (readonly StoredBlob[] | Error)[],
  links: (readonly RepositoryEntry[] | Error)[],
  stepMs = 1,
) {
  const sent: [kind: string, entries: number | object][] = []
  let now = 0
  const work = createListStorage({
    listings: {
      begin: async () => 'id',
      sendBlobs: async (_id, page) => void sent.push(['blobs', page.length]),
      sendLinks: async (_id, page) => void sent.push(['links', page.length]),
      end: async (_id, uploads) => void sent.push(['end', uploads]),
    },
    listBlobs: () => batchesOf(...blobs),
    listRepositories: () => batchesOf(...links),
    log: { info() {}, warn() {} },
    monotonic: () => (now += stepMs),
  })
  return { sent, list: () => work(new AbortController().signal) }
}

t.test('pages have 1,000 entries, blobs before links, and the uploads end the listing', async (t) => {
  const uploads: RepositoryEntry[] = [
    { kind: 'uploads', count: 2, bytes: 3 },
    { kind: 'uploads', count: 1, bytes: 4 },
  ]
  const { sent, list } = create(
    [numbers(600).map(blob), [], numbers(1900).map(blob)],
    [numbers(3).map(link), uploads, [link(9)]],
  )
  t.equal(await list(), 'complete')
  t.same(sent, [
    ['blobs', 1000],
    ['blobs', 1000],
    ['blobs', 500],
    ['links', 4],
    ['end', { count: 3, bytes: 7 }],
  ])
})

t.test('a page is sent every ten seconds, even if nothing was found', async (t) => {
  const { sent, list } = create([[], [], [blob(1)]], [[], [], [link(1)]], 6000)
  await list()
  t.same(sent, [
    ['blobs', 0],
    ['blobs', 1],
    ['links', 0],
    ['links', 1],
    ['end', { count: 0, bytes: 0 }],
  ])
})

t.test('a listing that fails is not ended', async (t) => {
  for (const { sent, list } of [
    create([[blob(1)], new Error('unreadable')], [[link(1)]]),
    create([[blob(1)]], [[link(1)], new Error('unreadable')]),
  ]) {
    await t.rejects(list(), /unreadable/)
    t.notOk(sent.some(([kind]) => kind === 'end'))
  }
})
