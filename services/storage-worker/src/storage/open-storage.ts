import { createFileSystemStorage } from './file-system-storage.ts'
import type { StorageConfig } from './storage-settings.ts'
import type { Storage } from './storage.ts'

/**
 * Opens the registry's storage. `onRequest` is called with the operation of each request to S3. With `mayBlock`,
 * removals from a file system may block the process for some milliseconds.
 */
export async function openStorage(
  config: StorageConfig,
  onRequest: (operation: string) => void,
  options: { readonly mayBlock: boolean } = { mayBlock: false },
): Promise<Storage> {
  if (config.kind === 'volume') return createFileSystemStorage(config.folder, options)
  // Loaded only here: the SDK needs much memory.
  const [{ createS3Bucket }, { createS3Storage }] = await Promise.all([
    import('./s3-bucket.ts'),
    import('./s3-storage.ts'),
  ])
  return createS3Storage(createS3Bucket(config, onRequest), config.rootDirectory)
}
