import type { SyncTagPorts } from '../index/sync-tag.ts'
import { syncTag } from '../index/sync-tag.ts'
import type { ContestPushesPorts } from './removal.ts'
import type { DeleteUpstreamTagPorts, DropTombstonePorts } from './tombstone.ts'
import { deleteUpstreamTag, dropTombstone } from './tombstone.ts'

export interface DeleteTagPorts extends SyncTagPorts {
  readonly registry: SyncTagPorts['registry'] & DeleteUpstreamTagPorts['registry']
  readonly manifests: SyncTagPorts['manifests'] & DropTombstonePorts['manifests']
  readonly pendingPushes: ContestPushesPorts['pendingPushes']
  readonly removals: DropTombstonePorts['removals']
}

/** Deletes a tag, and nothing else, from the registry and from the index. Returns whether the tag existed. */
export async function deleteTag(ports: DeleteTagPorts, repository: string, tag: string): Promise<boolean> {
  const { tags, pendingPushes } = ports
  const { revision, indexOnly } = await tags.findTag(repository, tag)
  const isDroppedFromIndex = indexOnly && (await tags.setTag(repository, tag, undefined, revision))
  const tombstone = await deleteUpstreamTag(ports, repository, tag)
  await pendingPushes.contestPushes(repository)
  await syncTag(ports, repository, tag)
  if (tombstone !== undefined) await dropTombstone(ports, repository, tombstone)
  return isDroppedFromIndex || tombstone !== undefined
}
