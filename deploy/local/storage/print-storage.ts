import { Type } from 'typebox'
import type { ManagementClient } from '../apply/management-client.ts'

const Amount = Type.Object({ blobs: Type.Number(), bytes: Type.Number() })
const Report = Type.Object({
  namespaces: Type.Number(),
  repositories: Type.Number(),
  storage: Type.Union([
    Type.Object({
      endedAt: Type.String(),
      stored: Amount,
      known: Amount,
      trash: Amount,
      condemned: Amount,
      recent: Amount,
      unknown: Amount,
      uploads: Type.Object({ count: Type.Number(), bytes: Type.Number() }),
    }),
    Type.Null(),
  ]),
})
const next = Type.Union([Type.String(), Type.Null()])
const Namespaces = Type.Object({
  items: Type.Array(
    Type.Object({ namespace: Type.String(), bytes: Type.Number(), repositories: Type.Number() }),
  ),
  next,
})
const Repositories = Type.Object({
  items: Type.Array(
    Type.Object({
      repository: Type.String(),
      manifests: Type.Number(),
      bytes: Type.Number(),
      frees: Type.Number(),
    }),
  ),
  next,
})

/** Number of namespaces and repositories that are printed. */
const LARGEST = 20
const PAGE = 200

const PARTS = [
  ['stored', 'the sum of the next five rows'],
  ['known', 'images'],
  ['trash', 'deleted, can be restored'],
  ['condemned', 'deleted, will be removed'],
  ['recent', 'new, not in the index yet'],
  ['unknown', 'not in the index, older than the grace period'],
] as const

/** Prints what the storage holds, and the largest namespaces and repositories. Reads page by page. */
export async function printStorage(
  client: Pick<ManagementClient, 'get'>,
  print: (line: string) => void,
): Promise<void> {
  const { namespaces, repositories, storage } = await client.get('/storage', Report)
  if (storage === null) print('No storage worker has listed the storage yet; a listing runs once a day.')
  else {
    print(`Storage, listed at ${storage.endedAt}`)
    for (const [name, meaning] of PARTS)
      printRow(print, storage[name].bytes, `${name} (${meaning}): ${storage[name].blobs} blobs`)
    printRow(print, storage.uploads.bytes, `unfinished uploads: ${storage.uploads.count}`)
  }
  print('')
  print(`Largest namespaces, of ${namespaces}`)
  const readNamespaces = (query: string) => client.get(`/storage/namespaces?${query}`, Namespaces)
  for (const { namespace, bytes, repositories: own } of await largest(readNamespaces))
    printRow(print, bytes, `${namespace}: ${own} repositories`)
  print('')
  print(`Largest repositories, of ${repositories}`)
  const readRepositories = (query: string) => client.get(`/storage/repositories?${query}`, Repositories)
  for (const { repository, manifests, bytes, frees } of await largest(readRepositories))
    printRow(print, bytes, `${repository}: ${manifests} manifests; its deletion frees ${sizeText(frees)}`)
}

function printRow(print: (line: string) => void, bytes: number, text: string): void {
  print(`${sizeText(bytes).padStart(12)}  ${text}`)
}

interface SizesPage<Entry> {
  readonly items: readonly Entry[]
  readonly next: string | null
}

/** The largest entries of a list. Only a page and these are in memory. */
async function largest<Entry extends { readonly bytes: number }>(
  read: (query: string) => Promise<SizesPage<Entry>>,
): Promise<readonly Entry[]> {
  let found: readonly Entry[] = []
  let after = ''
  for (;;) {
    const page = await read(`limit=${PAGE}${after}`)
    found = [...found, ...page.items].toSorted((one, other) => other.bytes - one.bytes).slice(0, LARGEST)
    if (page.next === null) return found
    after = `&after=${encodeURIComponent(page.next)}`
  }
}

/** A size with three digits, such as `1.23 GB`. */
export function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)))
  const value = bytes / 1000 ** at
  return `${at === 0 ? value : value.toPrecision(Math.max(3, String(Math.floor(value)).length))} ${units[at]}`
}
