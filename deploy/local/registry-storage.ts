import { ConfigError } from '@registry-manager/http'
import type { StorageConfig } from '@registry-manager/storage-worker/config'
import { readStorage } from '@registry-manager/storage-worker/config'

/**
 * The place of the images: our folder, unless REGISTRY_URL names another registry. Undefined if nothing says where that
 * one stores them: then nothing removes the data of deleted images.
 */
export function registryStorage(
  values: Parameters<typeof readStorage>[0] & { readonly REGISTRY_URL?: string },
  ownFolder: string,
): StorageConfig | undefined {
  if (values.REGISTRY_URL !== undefined) return readStorage(values)
  if (values.REGISTRY_STORAGE_S3_BUCKET !== undefined)
    throw new ConfigError([
      'REGISTRY_STORAGE_S3_BUCKET requires REGISTRY_URL: without it, images are stored in DATA_DIR',
    ])
  return { kind: 'volume', folder: ownFolder }
}
