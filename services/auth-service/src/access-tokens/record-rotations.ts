import type { RecordEvents } from '@registry-manager/events'

export interface RotationTransaction {
  /** Whether any key was in use before. */
  isAnyKnown(): Promise<boolean>
  /** Returns whether the key was new. */
  insertNew(keyId: string): Promise<boolean>
  readonly recordEvents: RecordEvents
}

export interface RecordRotationsPorts {
  /** The id of the key that signs now. */
  currentKeyId(): string
  /** The id of the key that signed before; undefined before the first rotation. */
  retiredKeyId(): string | undefined
  inTransaction(work: (tx: RotationTransaction) => Promise<void>): Promise<void>
}

/**
 * Returns the function that records `keys.rotate` when this process signs with a key that was never in use. A rotation
 * changes files, often on another machine, so the services notice it when they read the folder again. The first replica
 * that notices a rotation records it. The first key of an installation is no rotation. The previous key is stored as
 * well: at the first start, another replica may still sign with it, and that must not count as a rotation.
 */
export function createRecordRotations({ currentKeyId, retiredKeyId, inTransaction }: RecordRotationsPorts) {
  let recorded: string | undefined
  return async (): Promise<void> => {
    const keyId = currentKeyId()
    if (keyId === recorded) return
    await inTransaction(async ({ isAnyKnown, insertNew, recordEvents }) => {
      const isRotation = await isAnyKnown()
      const isNew = await insertNew(keyId)
      const retired = retiredKeyId()
      if (retired !== undefined) await insertNew(retired)
      if (!isNew || !isRotation) return
      await recordEvents({ action: 'keys.rotate', target: { kind: 'signing-keys' }, detail: { keyId } })
    })
    recorded = keyId
  }
}
