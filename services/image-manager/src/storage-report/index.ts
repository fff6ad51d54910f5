import type { Database } from '@registry-manager/database'
import type { StorageReportPorts } from './storage-report.ts'
import { createStorageReport } from './storage-report.ts'
import { createStorageReportRepository } from './storage-report-repository.ts'

/** The use cases of the storage report. */
export function createReport(
  db: Database,
  { collectionStatus }: Pick<StorageReportPorts, 'collectionStatus'>,
) {
  return createStorageReport({
    collectionStatus,
    storageReport: createStorageReportRepository(db),
    monotonic: () => performance.now(),
  })
}
