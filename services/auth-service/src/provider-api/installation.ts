import type { Database } from '@registry-manager/database'

/** This installation, as the registry that the token API tells of. */
export interface Installation {
  readonly id: string
  readonly createdAt: Date
}

/** Reads what the first start wrote down. It never changes: one answer serves for good. */
export function createInstallation(db: Database): () => Promise<Installation> {
  let known: Installation | undefined
  return async () =>
    (known ??= await db
      .selectFrom('installation')
      .select(['id', 'created_at as createdAt'])
      .executeTakeFirstOrThrow())
}
