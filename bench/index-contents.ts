import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findPostgres } from '@registry-manager/testing/postgres-binaries'
import { runToEnd } from './child.ts'
import type { Stack } from './stack.ts'

const ROWS = fileURLToPath(new URL('index-rows.sql', import.meta.url))
const PAGE = 100

/** Fills the index anew with so many repositories, directly: what is not measured here is how they got there. */
export async function fillIndex({ databaseUrl }: Stack, repositories: number): Promise<void> {
  const found = findPostgres()
  if ('reason' in found) throw new Error(found.reason)
  const variables = ['-v', `repositories=${repositories}`]
  const args = ['-X', '-q', ...variables, '-f', ROWS, databaseUrl]
  await runToEnd(join(found.folder, 'psql'), args, { env: found.env })
}

export interface Catalog {
  readonly names: readonly string[]
  /** Path of each page of 100, in their order. */
  readonly pages: readonly string[]
}

/** Walks a catalog by its links. Throws unless its pages are full, and names come in byte order, each once. */
export async function walkCatalog(
  origin: string,
  headers: Readonly<Record<string, string>>,
): Promise<Catalog> {
  const names: string[] = []
  const pages: string[] = []
  for (let path: string | undefined = `/v2/_catalog?n=${PAGE}`; path !== undefined;) {
    const response: Response = await fetch(new URL(path, origin), { headers })
    if (!response.ok) throw new Error(`GET ${path}: ${response.status}`)
    const { repositories } = (await response.json()) as { repositories: string[] }
    for (const name of repositories) {
      if (name <= (names.at(-1) ?? '')) throw new Error(`GET ${path}: ${name} comes after ${names.at(-1)}`)
      names.push(name)
    }
    pages.push(path)
    path = /^<([^>]*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
    if (path !== undefined && repositories.length !== PAGE)
      throw new Error(`the page before ${path} is not full`)
  }
  return { names, pages }
}
