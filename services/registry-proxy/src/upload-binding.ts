import { createHmac, timingSafeEqual } from 'node:crypto'

export interface Upload {
  readonly repository: string
  readonly id: string
  /** The account that began it. */
  readonly uid: string
}

/** What binds an upload session to the account that began it, on any replica that has the secret. */
export function bindUpload(secret: string, { repository, id, uid }: Upload): string {
  return createHmac('sha256', secret)
    .update(JSON.stringify([repository, id, uid]))
    .digest('base64url')
}

/** Whether a binding is this upload's and this account's. */
export function isBound(secret: string, upload: Upload, binding: string | undefined): boolean {
  if (binding === undefined) return false
  const [given, expected] = [Buffer.from(binding), Buffer.from(bindUpload(secret, upload))]
  return given.length === expected.length && timingSafeEqual(given, expected)
}
