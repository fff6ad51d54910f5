import type { PageRequest } from '../index/repository.ts'

const PAGE_SIZE = 500

/** Reads a whole list page by page, in the order of its keys. A short page is the last one. */
export async function* readPages(
  readPage: (page: PageRequest) => Promise<readonly string[]>,
): AsyncGenerator<string, void> {
  for (let after = ''; ;) {
    const page = await readPage({ after, limit: PAGE_SIZE })
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE_SIZE) return
    after = last
  }
}
