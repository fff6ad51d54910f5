import type { Readable } from 'node:stream'
import { ProblemError } from '@registry-manager/service-kit'

/**
 * Reads a body of at most `maxBytes`. Answers undefined for one that is longer; the rest is left unread.
 * Throws ProblemError when the client goes away in the middle, which is no fault of ours.
 */
export async function readWhole(body: Readable, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length
      if (size > maxBytes) return undefined
      chunks.push(chunk as Buffer)
    }
  } catch (cause) {
    throw new ProblemError({ status: 400, detail: 'the body was cut off' }, { cause })
  }
  return Buffer.concat(chunks)
}
