import type { Semaphore } from '@registry-manager/http'
import { ProblemError, ServiceCallError, createSemaphore } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'

/**
 * Maximum number of waiting deletions of one repository, and their maximum wait in milliseconds. The wait is shorter
 * than registry-proxy's deadline: after that deadline no client waits for the deletion.
 */
const LIMITS = { waiting: 100, waitMs: 45_000 }

/**
 * Wraps a registry client: the manifests of one repository are deleted one at a time.
 *
 * distribution 2.8 deletes a manifest, and then reads all tags of the repository to delete those of the manifest. It
 * responds 500 if a concurrent deletion removes a tag during that walk. Another replica can still cause this race, so a
 * 500 counts as success if the manifest is gone.
 */
export function serializeDeletions<Client extends Pick<RegistryClient, 'headManifest' | 'deleteManifest'>>(
  registry: Client,
  { waiting, waitMs } = LIMITS,
): Client {
  const queues = new Map<string, { readonly semaphore: Semaphore; calls: number }>()

  const deleteManifest = async (repository: string, digest: string): Promise<boolean> => {
    try {
      return await registry.deleteManifest(repository, digest)
    } catch (error) {
      if (!(error instanceof ServiceCallError) || error.status !== 500) throw error
      if ((await registry.headManifest(repository, digest)) !== undefined) throw error
      return true
    }
  }

  return {
    ...registry,
    async deleteManifest(repository: string, digest: string): Promise<boolean> {
      const tooMany = () => tooManyDeletions(repository)
      const semaphore = () => createSemaphore(1, { maxWaiting: waiting, onFull: tooMany })
      const queue = queues.get(repository) ?? { semaphore: semaphore(), calls: 0 }
      queues.set(repository, queue)
      queue.calls += 1
      try {
        const deadline = performance.now() + waitMs
        const work = () => deleteManifest(repository, digest)
        return await queue.semaphore.run(work, { deadline, onLate: tooMany })
      } finally {
        queue.calls -= 1
        if (queue.calls === 0) queues.delete(repository)
      }
    },
  }
}

function tooManyDeletions(repository: string): ProblemError {
  const detail = `too many manifests of ${repository} are being deleted at the same time; retry in 5 seconds`
  return new ProblemError({ status: 429, detail, headers: { 'retry-after': '5' } })
}
