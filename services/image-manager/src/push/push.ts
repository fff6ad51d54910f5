import type { AnnounceManifestPorts, AnnounceOutcome, PushedManifest } from './announce-manifest.ts'
import { announceManifest } from './announce-manifest.ts'
import type { PendingPush } from './record-pending-push.ts'
import type { RecordOrUndoPushPorts } from './record-or-undo-push.ts'
import { recordOrUndoPush } from './record-or-undo-push.ts'

export type PushPorts = AnnounceManifestPorts &
  RecordOrUndoPushPorts & {
    readonly pendingPushes: { findPendingPush(id: string): Promise<PendingPush | undefined> }
    readonly blobs: { announceBlob(repository: string, digest: string): Promise<boolean> }
    readonly blobAliases: { aliasBlob(repository: string, sha512: string, sha256: string): Promise<void> }
  }

export interface Push {
  announce(manifest: PushedManifest): Promise<AnnounceOutcome>
  /** Records the outcome of a pending push. Undefined if there is no such pending push. */
  record(id: string): Promise<{ readonly digest: string | null; readonly subject: string | null } | undefined>
  /** Removes a pending push whose manifest the registry refused. */
  discard(id: string): Promise<void>
  /** Records that the upload or mount of a blob was authorized. False while the repository is being deleted. */
  announceBlob(blob: { readonly repository: string; readonly digest: string }): Promise<boolean>
  /** Records the sha256 of a blob that was pushed by its sha512. */
  recordBlobAlias(alias: {
    readonly repository: string
    readonly sha512: string
    readonly sha256: string
  }): Promise<void>
}

export function createPush(ports: PushPorts): Push {
  const { pendingPushes, blobs, blobAliases } = ports
  return {
    announce: (manifest) => announceManifest(ports, manifest),
    async record(id) {
      const pending = await pendingPushes.findPendingPush(id)
      if (pending === undefined) return undefined
      const manifest = await recordOrUndoPush(ports, pending)
      return { digest: manifest?.digest ?? null, subject: manifest?.subject ?? null }
    },
    discard: (id) => pendingPushes.removePendingPush(id),
    announceBlob: ({ repository, digest }) => blobs.announceBlob(repository, digest),
    recordBlobAlias: ({ repository, sha512, sha256 }) => blobAliases.aliasBlob(repository, sha512, sha256),
  }
}
