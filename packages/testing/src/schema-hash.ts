import { createHash } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'

const SOURCES = new URL('../../database/src/', import.meta.url)

/** A hash that changes with the given parts and with the sources of packages/database: a key of cached databases. */
export async function schemaHash(...parts: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(parts.join('\n'))
  const names = (await readdir(SOURCES, { recursive: true }))
    .filter((name) => name.endsWith('.ts'))
    .toSorted()
  for (const name of names) hash.update(name).update(await readFile(new URL(name, SOURCES)))
  return hash.digest('hex').slice(0, 16)
}
