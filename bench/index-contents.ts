import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findPostgres } from '@registry-manager/testing/postgres-binaries'
import { runToEnd } from './child.ts'
import type { Stack } from './stack.ts'

const PAGE = 100

export interface IndexContents {
  readonly repositories: number
  /** Of each repository. */
  readonly manifests: number
  /** Of each manifest: 1 or 2. */
  readonly tags: number
}

/**
 * Fills the index with repositories, directly in the database. Pushing them is not part of the measurement. By default
 * each has ten tags.
 */
export async function fillIndex(
  stack: Stack,
  { repositories, manifests = 5, tags = 2 }: Pick<IndexContents, 'repositories'> & Partial<IndexContents>,
): Promise<void> {
  await runScript(stack, 'index-rows.sql', { repositories, manifests, patches: tags })
}

/** Runs a script of this folder with psql, in the database of a stack. */
export async function runScript(
  { databaseUrl }: Stack,
  name: string,
  variables: Readonly<Record<string, number | string>>,
): Promise<void> {
  const found = findPostgres()
  if ('reason' in found) throw new Error(found.reason)
  const given = Object.entries(variables).flatMap(([variable, value]) => ['-v', `${variable}=${value}`])
  const script = fileURLToPath(new URL(name, import.meta.url))
  await runToEnd(join(found.folder, 'psql'), ['-X', '-q', ...given, '-f', script, databaseUrl], {
    env: found.env,
  })
}

export interface Catalog {
  readonly names: readonly string[]
  /** Path of each page of 100 names, in order. */
  readonly pages: readonly string[]
}

/** Follows the links of a catalog. Throws if a page is not full, or if names are duplicate or not in byte order. */
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
      throw new Error(`the page before ${path} has fewer names than requested`)
  }
  return { names, pages }
}
