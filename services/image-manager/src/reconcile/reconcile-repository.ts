import { isTag } from '@registry-manager/oci'
import { verifyManifest } from '../index/verify-manifest.ts'
import { inPages } from './paginate.ts'
import { UnrecordableError, ensureManifest } from '../index/ensure-manifest.ts'
import { syncTag } from '../index/sync-tag.ts'
import { deleteManifest } from '../delete/delete.ts'
import type { RecoverPorts } from './recover.ts'
import { attempt } from './work-item.ts'

/**
 * Brings one repository of the index to what the registry has of it: its tags, what they reach, and that what the
 * index has beside them is there still. Every step is one that pushes and deletions take too, and as safe beside
 * them. One that is being deleted is left to whoever does that.
 */
export async function reconcileRepository(ports: RecoverPorts, repository: string): Promise<void> {
  const { registry, deletions, queries, counts } = ports
  if (await deletions.isBeingDeleted(repository)) return
  const listed = new Set(await registry.listTags(repository))
  // The registry goes on naming repositories that were emptied.
  if (listed.size === 0 && !(await queries.hasRepository(repository))) return
  counts.repositories += 1

  const failed = await ports.failures.listFailures(repository)
  const tried = new Set<string>()
  const step = async (reference: string, work: () => Promise<unknown>) => {
    await ports.between()
    const item = { kind: 'manifest', item: `${repository} ${reference}`, repository, reference } as const
    tried.add(item.item)
    const before = failed.get(item.item)
    if (before !== undefined && !before.isDue && !ports.retriesAll) return before
    const fault = await attempt(ports, item, work)
    if (before !== undefined && fault === undefined) await ports.failures.forgetFailure(item)
    return fault
  }
  const follow = async (tag: string) => {
    counts.tags += 1
    await step(tag, () => syncTag(ports, repository, tag))
  }
  for (const tag of listed) if (isTag(tag)) await follow(tag)
  for (const tag of listed)
    if (!isTag(tag)) await step(tag, () => refuse('the registry names a tag that is none'))
  for await (const tag of inPages((after) => queries.listTagNames(repository, after))) {
    if (!listed.has(tag)) await follow(tag)
  }

  for (const digest of await queries.listStandIns(repository)) {
    const fault = await step(digest, () => deleteManifest(ports, repository, digest, { undone: true }))
    if (fault === undefined) counts.deletionsFinished += 1
  }

  const asked = new Set<string>()
  // What is adopted may be an index too: until nothing is missing that was not asked for.
  for (let before = -1; before < asked.size;) {
    before = asked.size
    for await (const digest of inPages((after) => queries.listMissingChildren(repository, after))) {
      if (asked.has(digest)) continue
      asked.add(digest)
      await step(digest, async () => {
        if (await ensureManifest(ports, repository, digest)) await verifyManifest(ports, repository, digest)
      })
    }
  }

  for await (const digest of inPages((after) => queries.listUntagged(repository, after))) {
    if (!asked.has(digest)) await step(digest, () => verifyManifest(ports, repository, digest))
  }
  await queries.markReconciled(repository)
  // What failed once and is not there any more; and that all of it failed.
  for (const item of failed.keys()) {
    if (tried.has(item)) continue
    const kind = item === repository ? 'repository' : 'manifest'
    await ports.failures.forgetFailure({ kind, item })
  }
}

async function refuse(why: string): Promise<never> {
  throw new UnrecordableError(why)
}
