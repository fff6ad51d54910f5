/** How many names a page has at the most; one with less is the last. */
export const PAGE_SIZE = 500

/** All of a list that is read in pages, each of what comes after the last of the page before. */
export async function* inPages(
  read: (after: string) => Promise<readonly string[]>,
): AsyncGenerator<string, void> {
  for (let after = ''; ;) {
    const page = await read(after)
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE_SIZE) return
    after = last
  }
}
