import { ServiceCallError } from '@registry-manager/http'

/** The Range header of an upload's status: what the registry has of it. Undefined when it knows of none. */
export type FindUploaded = (path: string, token: string) => Promise<string | undefined>

const TIMEOUT_MS = 15_000

/** Asks the registry how far an upload is. Throws ServiceCallError when it does not answer. */
export function createUploadStatus(registryUrl: string): FindUploaded {
  return async (path, token) => {
    const response = await fetch(new URL(path, registryUrl), {
      headers: { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((cause: unknown) => {
      throw new ServiceCallError('the registry did not answer', { dependency: 'registry', cause })
    })
    await response.body?.cancel()
    return response.status === 204 ? (response.headers.get('range') ?? undefined) : undefined
  }
}
