import type { Readable } from 'node:stream'
import { ProblemError } from '@registry-manager/service-kit'

/** How long a body that is read whole may take to come, in milliseconds. It is small: 4 MiB at 70 kB/s. */
const READ_MS = 60_000

/**
 * Reads a body of at most `maxBytes`. Answers undefined for one that is longer; the rest is left unread.
 * Throws ProblemError when the client goes away in the middle, which is no fault of ours, or is too slow.
 */
export async function readWhole(
  body: Readable,
  maxBytes: number,
  readMs = READ_MS,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  const iterator = body.iterator({ destroyOnReturn: false })
  const deadline = createDeadline(readMs)
  try {
    for (;;) {
      const { done, value } = (await Promise.race([
        iterator.next(),
        deadline.passed,
      ])) as IteratorResult<Buffer>
      if (done === true) return Buffer.concat(chunks, size)
      size += value.length
      if (size > maxBytes) return undefined
      chunks.push(value)
    }
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause
    throw new ProblemError({ status: 400, detail: 'the body was cut off' }, { cause })
  } finally {
    deadline.clear()
    // Frees the stream for whoever reads the rest. Not awaited: it waits for a read that is still under way.
    iterator.return?.().catch(() => undefined)
  }
}

/** Source of the status: RFC 9110 §15.5.9. */
function createDeadline(milliseconds: number) {
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<never>((_resolve, reject) => {
    const detail = `the body did not come within ${milliseconds / 1000} s`
    const problem = { status: 408, detail, headers: { connection: 'close' } }
    timer = setTimeout(() => reject(new ProblemError(problem)), milliseconds)
  })
  // Where the body came in time nobody waits for it.
  passed.catch(() => undefined)
  return { passed, clear: () => clearTimeout(timer) }
}
