import { ServiceCallError, unavailable } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'
import { isRegistryRefusal } from '@registry-manager/registry-client'
import { readReferences } from '../index/manifest.ts'
import type { TrashEntry } from './trash-entry.ts'
import { trashRepository } from './trash-entry.ts'
import { inParallel } from './in-parallel.ts'

export interface FillEntryPorts {
  readonly registry: Pick<RegistryClient, 'headBlob' | 'headManifest' | 'mountBlob' | 'putManifest'>
  readonly blobAliases: {
    aliasesOfBlobs(
      repository: string,
      digests: readonly string[],
    ): Promise<ReadonlyMap<string, readonly string[]>>
    aliasBlob(repository: string, sha512: string, sha256: string): Promise<void>
  }
  readonly trashContents: {
    copyPage(entry: TrashEntry, after: string, limit: number): Promise<string | undefined>
    listReady(entry: TrashEntry, state: 'moving', after: string, limit: number): Promise<string[]>
    readManifest(
      entry: TrashEntry,
      digest: string,
    ): Promise<{ readonly mediaType: string; readonly raw: Buffer } | undefined>
    setState(entry: TrashEntry, digest: string, state: 'trashed'): Promise<void>
  }
}

/** Number of manifests that are read from the index at once. */
const PAGE_SIZE = 50
/** Number of manifests, and of blobs of each, that are moved at the same time. */
const [MANIFESTS, BLOBS] = [4, 4]
/** Maximum number of digests of mounted blobs that are kept in memory: images of a repository share most blobs. */
const MAX_REMEMBERED = 50_000

/**
 * Copies all manifests of a repository that is being deleted into its entry. Idempotent: a manifest that was copied
 * before is not copied again. Returns false as soon as `renew` returns false.
 */
export async function fillFromRepository(
  ports: FillEntryPorts,
  entry: TrashEntry,
  renew: () => Promise<boolean>,
): Promise<boolean> {
  const copyPage = (after: string) => ports.trashContents.copyPage(entry, after, PAGE_SIZE)
  for (let after = await copyPage(''); after !== undefined; after = await copyPage(after)) {
    if (!(await renew())) return false
  }
  return fillEntry(ports, entry, renew)
}

/**
 * Stores the content of an entry in the registry: mounts the blobs into the repository of the entry, and puts the
 * manifests there. The manifests that an image index references come before the image index. Resumes where an earlier
 * call was interrupted. Returns false as soon as `renew` returns false.
 */
export async function fillEntry(
  ports: FillEntryPorts,
  entry: TrashEntry,
  renew: () => Promise<boolean>,
): Promise<boolean> {
  const { trashContents } = ports
  const mounted = new Set<string>()
  for (let isDone = false; !isDone;) {
    isDone = true
    const read = (after: string) => trashContents.listReady(entry, 'moving', after, PAGE_SIZE)
    for (let page = await read(''); page.length > 0; page = await read(page.at(-1) ?? '')) {
      isDone = false
      if (!(await renew())) return false
      await inParallel(page, MANIFESTS, (digest) => storeManifest(ports, entry, digest, mounted))
    }
  }
  return true
}

async function storeManifest(ports: FillEntryPorts, entry: TrashEntry, digest: string, mounted: Set<string>) {
  const { registry, trashContents } = ports
  const manifest = await trashContents.readManifest(entry, digest)
  if (manifest === undefined) return
  const references = readReferences(manifest.raw)
  const blobs = references.filter(({ kind }) => kind !== 'manifest').map((one) => one.digest)
  const mount = async (blob: string) => {
    if (mounted.has(blob)) return
    const canonical = await orIfRefused(undefined, () => findCanonical(ports, entry, blob))
    if (canonical !== undefined) await mountBlob(registry, entry, canonical)
    if (mounted.size >= MAX_REMEMBERED) mounted.clear()
    mounted.add(blob)
  }
  await inParallel(blobs, BLOBS, mount)
  // The registry finds no manifest by its sha512, and cannot mount a blob by it. The index has the bytes.
  if (references.every((one) => one.digest.startsWith('sha256:')))
    await putManifest(registry, entry, digest, manifest)
  await trashContents.setState(entry, digest, 'trashed')
}

/**
 * Mounts a blob into the trash, unless the repository lacks it. distribution also returns 202 or 500 if it cannot store
 * the link, for example because its disk is full. Then the deletion must fail: the trash would have no content.
 */
async function mountBlob(registry: FillEntryPorts['registry'], entry: TrashEntry, blob: string) {
  const { repository } = entry
  if (await orIfRefused(false, () => registry.mountBlob(trashRepository(entry), blob, repository))) return
  if ((await orIfRefused(undefined, () => registry.headBlob(repository, blob))) === undefined) return
  throw notStored(entry, blob)
}

/**
 * Stores a manifest in the trash. The registry refuses one if the repository lacks a part of it: then the trash lacks
 * that part, too. A 500 for a manifest that the repository has is a failure of the storage.
 */
async function putManifest(
  registry: FillEntryPorts['registry'],
  entry: TrashEntry,
  digest: string,
  manifest: { readonly mediaType: string; readonly raw: Buffer },
) {
  try {
    await registry.putManifest(trashRepository(entry), digest, manifest)
  } catch (error) {
    if (!isRegistryRefusal(error)) throw error
    if (!(error instanceof ServiceCallError) || error.status !== 500) return
    const found = await orIfRefused(undefined, () => registry.headManifest(entry.repository, digest))
    if (found !== undefined) throw notStored(entry, digest, error)
  }
}

function notStored({ repository }: TrashEntry, digest: string, cause?: unknown): Error {
  return unavailable(
    `the registry could not store ${digest} of ${repository} in the trash; retry later`,
    10,
    cause,
  )
}

/** The result of a request; `refused` if the registry refuses the request. */
async function orIfRefused<Result>(refused: Result, request: () => Promise<Result>): Promise<Result> {
  try {
    return await request()
  } catch (error) {
    if (!isRegistryRefusal(error)) throw error
    return refused
  }
}

/** The sha256 of a blob; undefined if the registry does not have the blob. */
async function findCanonical(
  { registry, blobAliases }: FillEntryPorts,
  entry: TrashEntry,
  blob: string,
): Promise<string | undefined> {
  if (!blob.startsWith('sha512:')) return blob
  const name = trashRepository(entry)
  const known = (await blobAliases.aliasesOfBlobs(name, [blob])).get(blob)
  const recorded = known?.find((one) => one.startsWith('sha256:'))
  if (recorded !== undefined) return recorded
  // The alias is missing if image-manager was unavailable when the upload ended.
  const found = await registry.headBlob(entry.repository, blob)
  if (found !== undefined) await blobAliases.aliasBlob(name, blob, found)
  return found
}
