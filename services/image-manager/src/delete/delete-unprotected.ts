import type { FindProtectedPorts } from '../immutability/find-protected.ts'
import { findProtected } from '../immutability/find-protected.ts'
import { findProtection } from '../immutability/tag-rule.ts'
import type { DeleteOneBlobPorts } from './delete-blobs.ts'
import { deleteOneBlob } from './delete-blobs.ts'
import type { DeletionResult } from './delete-manifest.ts'
import type { DeleteTagPorts } from './delete-tag.ts'
import { deleteTag } from './delete-tag.ts'
import type { RemovalPorts } from './removal.ts'
import { withRemoval } from './removal.ts'
import type { RecordDeletionPorts } from './requested-deletion.ts'
import type { RecordDeletionOptions } from './requested-deletion.ts'
import { recordDeletion } from './requested-deletion.ts'

export type DeleteUnprotectedPorts = DeleteTagPorts &
  DeleteOneBlobPorts &
  RecordDeletionPorts &
  RemovalPorts &
  FindProtectedPorts & {
    readonly references: {
      /** The other digests of some blobs. */
      listOtherNames(
        repository: string,
        digests: readonly string[],
      ): Promise<readonly { readonly name: string }[]>
    }
  }

/**
 * Deletes a tag that no rule protects. A tag that a rule protects is never deleted, not even if it does not exist yet:
 * a push that sets it may be running.
 */
export async function deleteUnprotectedTag(
  ports: DeleteUnprotectedPorts,
  repository: string,
  tag: string,
  options?: RecordDeletionOptions,
): Promise<DeletionResult> {
  const { tagRules, tags, registry } = ports
  const by = findProtection(await tagRules.listRules(repository), repository, tag)
  if (by === undefined) {
    const work = () => deleteTag(ports, repository, tag)
    return resultOf(await recordDeletion(ports, { kind: 'tag', repository, tag }, work, Boolean, options))
  }
  const { digest = await registry.headManifest(repository, tag) } = await tags.findTag(repository, tag)
  return digest === undefined ? { outcome: 'unknown' } : { outcome: 'protected', by }
}

/**
 * Deletes a blob that no immutable tag needs. A push that references the blob at this time is refused (`removal.ts`).
 */
export async function deleteUnprotectedBlob(
  ports: DeleteUnprotectedPorts,
  repository: string,
  digest: string,
): Promise<DeletionResult> {
  const target = { kind: 'blob', repository, digest } as const
  const deleteBlob = async () => {
    const work = () => deleteOneBlob(ports, repository, digest)
    return resultOf(await recordDeletion(ports, target, work, Boolean))
  }
  if ((await ports.tagRules.listRules(repository)).length === 0) return deleteBlob()
  const others = await ports.references.listOtherNames(repository, [digest])
  const names = [digest, ...others.map(({ name }) => name)]
  return withRemoval(ports, repository, names, async () => {
    const by = await findProtected(ports, repository, names)
    return by === undefined ? deleteBlob() : { outcome: 'protected', by }
  })
}

function resultOf(existed: boolean): DeletionResult {
  return { outcome: existed ? 'deleted' : 'unknown' }
}
