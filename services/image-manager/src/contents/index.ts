import type { Database } from '@registry-manager/database'
import { createContentsRepository } from './contents-repository.ts'
import { createListContents } from './list-contents.ts'
import { createStorageUsage } from './storage-usage.ts'

/** The use cases of the contents routes. */
export function createContents({ db, now }: { readonly db: Database; readonly now: () => number }) {
  const contents = createContentsRepository(db)
  return {
    listContents: createListContents({ contents }),
    storageUsage: createStorageUsage({ contents, now }),
  }
}
