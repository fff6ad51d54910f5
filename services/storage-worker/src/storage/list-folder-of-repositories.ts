import type { Dir } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RESERVED_COMPONENT, isDigest } from '@registry-manager/oci'
import { inBatches } from './batches.ts'
import { digestOfLink } from './layout.ts'
import { findFile, foldersIn, isFolder, openFolder, undefinedIfMissing } from './read-folder.ts'
import type { RepositoryEntry } from './storage.ts'

/** Number of links that are read at the same time. */
const BATCH = 64

/**
 * The links and uploads in the folder `repositories`. One folder is open for each component of a repository's name, so
 * memory does not grow with the number of repositories.
 */
export async function* listFolderOfRepositories(
  repositories: string,
  signal: AbortSignal,
): AsyncIterable<readonly RepositoryEntry[]> {
  const open: Dir[] = []
  const enter = async (path: string) => {
    const folder = await openFolder(path)
    if (folder !== undefined) open.push(folder)
  }
  try {
    await enter(repositories)
    for (let folder = open.at(-1); folder !== undefined; folder = open.at(-1)) {
      signal.throwIfAborted()
      const entry = await folder.read()
      if (entry === null) {
        await open.pop()?.close()
        yield []
      } else if (open.length === 1 && entry.name === RESERVED_COMPONENT) {
        // The trash (see `RepositoryEntry`).
      } else if (isFolder(entry, folder.path)) {
        const path = join(folder.path, entry.name)
        if (entry.name.startsWith('_')) yield* listOwnFolder(path, entry.name, signal)
        else await enter(path)
      }
    }
  } finally {
    for (const folder of open) await folder.close()
  }
}

/** The entries in a folder that distribution makes in a repository. No component of a name begins with `_`. */
async function* listOwnFolder(path: string, name: string, signal: AbortSignal) {
  if (name === '_uploads') yield* listUploads(path, signal)
  if (name === '_layers') yield* listLinks(path, signal)
  if (name !== '_manifests') return
  // Tags have links, too, but only to manifests that a revision links.
  for await (const folder of foldersIn(path, signal))
    if (folder === 'revisions') yield* listLinks(join(path, folder), signal)
}

async function* listUploads(path: string, signal: AbortSignal): AsyncIterable<readonly RepositoryEntry[]> {
  for await (const upload of foldersIn(path, signal)) {
    const data = await findFile(join(path, upload, 'data'))
    yield [{ kind: 'uploads', count: 1, bytes: data?.size ?? 0 }]
  }
}

async function* listLinks(path: string, signal: AbortSignal): AsyncIterable<readonly RepositoryEntry[]> {
  for await (const algorithm of foldersIn(path, signal)) {
    const parent = join(path, algorithm)
    for await (const names of inBatches(foldersIn(parent, signal), BATCH)) {
      const found = await Promise.all(names.map((hex) => linkedBy(join(parent, hex), `${algorithm}:${hex}`)))
      yield found.flat().map((digest) => ({ kind: 'link', digest }))
    }
  }
}

/** The digests that the link in a folder names. None if the folder has no link: a deletion leaves the folder. */
async function linkedBy(folder: string, digest: string): Promise<readonly string[]> {
  const link = join(folder, 'link')
  if (!isDigest(digest) || (await findFile(link)) === undefined) return []
  if (digest.startsWith('sha256:')) return [digest]
  const target = digestOfLink((await readFile(link, 'utf8').catch(undefinedIfMissing)) ?? '')
  return target === undefined || target === digest ? [digest] : [digest, target]
}
