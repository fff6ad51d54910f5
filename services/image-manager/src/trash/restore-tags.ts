import { RestoreStopped, announce, put, renew, withManifest } from './restore-pushes.ts'
import type { RestorePushesPorts } from './restore-pushes.ts'
import type { TrashEntry } from './trash-entry.ts'

export type RestoreTagsPorts = RestorePushesPorts & {
  readonly tags: {
    findTag(repository: string, tag: string): Promise<{ readonly digest: string | undefined }>
  }
  readonly trashContents: {
    setState(entry: TrashEntry, digest: string, state: 'trashed'): Promise<void>
    listTags(
      entry: TrashEntry,
      after: string,
      limit: number,
    ): Promise<readonly { readonly tag: string; readonly digest: string }[]>
  }
}

/** A tag that names another manifest by now. */
export interface TakenTag {
  readonly tag: string
  /** The manifest that the tag named before the deletion. */
  readonly digest: string
  /** The manifest that the tag names now. */
  readonly names: string
}

/** Number of tags that are read at once, and maximum number of them in a result. */
const PAGE_SIZE = 100

/**
 * Sets the tags that do not exist. A manifest that the registry refuses, because it was deleted again, is in the trash
 * again, so that its tag is not lost. Returns some of the restored tags, their number, and some that were not moved.
 */
export async function restoreTags(ports: RestoreTagsPorts, entry: TrashEntry) {
  const { trashContents } = ports
  const [tags, taken]: [string[], TakenTag[]] = [[], []]
  let count = 0
  const read = (after: string) => trashContents.listTags(entry, after, PAGE_SIZE)
  for (let page = await read(''); page.length > 0; page = await read(page.at(-1)?.tag ?? '')) {
    for (const { tag, digest } of page) {
      await renew(ports, entry)
      const names = await restoreTag(ports, entry, tag, digest)
      if (names === undefined) await trashContents.setState(entry, digest, 'trashed')
      else if (names === digest) {
        count += 1
        if (tags.length < PAGE_SIZE) tags.push(tag)
      } else if (taken.length < PAGE_SIZE) taken.push({ tag, digest, names })
    }
  }
  return { tags, taken, count }
}

/**
 * Sets a tag if it does not exist. Returns the digest that the tag names; undefined if the manifest was deleted again.
 */
async function restoreTag(
  ports: RestoreTagsPorts,
  entry: TrashEntry,
  tag: string,
  digest: string,
): Promise<string | undefined> {
  return withManifest(ports, entry, digest, async (manifest) => {
    const announced = await announce(ports, entry, manifest, { tag })
    if (announced.outcome === 'index-only') return digest
    if (announced.outcome === 'refused') return findNamed(ports, entry, tag, 'has a push that has not ended')
    if (!(await put(ports, entry.repository, tag, manifest))) {
      await ports.push.discard(announced.id)
      return undefined
    }
    const recorded = await ports.push.record(announced.id)
    return recorded && findNamed(ports, entry, tag, 'was deleted during the restore')
  })
}

/**
 * The manifest that a tag names. Throws if the tag does not exist: a pending push of the tag may still fail, and a
 * deletion at the same time may not have moved the tag to the trash. Without the exception, the tag would be lost.
 */
async function findNamed(
  { tags }: RestoreTagsPorts,
  { repository }: TrashEntry,
  tag: string,
  reason: string,
): Promise<string> {
  const { digest } = await tags.findTag(repository, tag)
  if (digest !== undefined) return digest
  throw new RestoreStopped({ outcome: 'busy', reason: `the tag ${tag} of ${repository} ${reason}` })
}
