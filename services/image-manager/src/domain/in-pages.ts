/** All of a list that is read in pages, each of what comes after the last of the page before. */
export async function* inPages(
  read: (after: string) => Promise<readonly string[]>,
): AsyncGenerator<string, void> {
  for (let page = await read(''); page.length > 0; page = await read(page.at(-1) ?? '')) yield* page
}
