import { setTimeout as sleep } from 'node:timers/promises'

const TRIES = 5
const PAUSE_MS = 20

/**
 * Fetches once more where the registry answers 500: distribution on a file system does, for a moment, to whoever
 * looks at a tag that is being written (it empties the file first), or writes one that is being deleted. Only for
 * requests that may be repeated.
 */
export async function retryOn500(url: URL, init: RequestInit): Promise<Response> {
  for (let tries = 1; ; tries++) {
    const response = await fetch(url, init)
    if (response.status !== 500 || tries === TRIES) return response
    await response.body?.cancel()
    await sleep(PAUSE_MS * tries)
  }
}
