import type { Database } from '@registry-manager/database'

/** This installation: the one registry of the provider's API. */
export interface Installation {
  readonly id: string
  readonly createdAt: Date
}

/** Returns the row that the migrations wrote. It never changes, so one query serves the process's whole life. */
export function createInstallationRepository(db: Database): { find: () => Promise<Installation> } {
  let installation: Installation | undefined
  return {
    find: async () =>
      (installation ??= await db
        .selectFrom('installation')
        .select(['id', 'created_at as createdAt'])
        .executeTakeFirstOrThrow()),
  }
}
