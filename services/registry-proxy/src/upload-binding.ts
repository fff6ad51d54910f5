import { createHmac, timingSafeEqual } from 'node:crypto'

export interface Upload {
  readonly repository: string
  readonly id: string
  /** The account that started the upload. */
  readonly uid: string
}

/** The HMAC that binds an upload session to its account. Every replica with the secret can verify it. */
export function bindUpload(secret: string, { repository, id, uid }: Upload): string {
  return createHmac('sha256', secret)
    .update(JSON.stringify([repository, id, uid]))
    .digest('base64url')
}

/** Whether a binding belongs to this upload and this account. */
export function isBound(secret: string, upload: Upload, binding: string | undefined): boolean {
  if (binding === undefined) return false
  const [given, expected] = [Buffer.from(binding), Buffer.from(bindUpload(secret, upload))]
  return given.length === expected.length && timingSafeEqual(given, expected)
}
