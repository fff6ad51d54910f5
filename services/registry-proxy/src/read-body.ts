import type { Readable } from 'node:stream'
import { ProblemError } from '@registry-manager/http'

/** How long a body that is read whole may take to come, in milliseconds. It is small: 4 MiB at 70 kB/s. */
const READ_MS = 60_000

export interface ReadOptions {
  readonly maxBytes: number
  /** How long the body says that it is, where it does. */
  readonly length?: number | undefined
  /** How long it may take to come, in milliseconds. */
  readonly readMs?: number
}

/**
 * Reads a body of at most `maxBytes`. Answers undefined for one that is longer; the rest is left unread.
 * It is put together in one piece of memory as it comes, for it may be 4 MiB long.
 * Throws ProblemError when the client goes away in the middle, which is no fault of ours, or is too slow.
 */
export async function readBody(
  body: Readable,
  { maxBytes, length = 0, readMs = READ_MS }: ReadOptions,
): Promise<Buffer | undefined> {
  let whole = Buffer.allocUnsafeSlow(Math.min(length, maxBytes))
  let size = 0
  const iterator = body.iterator({ destroyOnReturn: false })
  const deadline = createDeadline(readMs)
  try {
    for (;;) {
      const { done, value } = (await Promise.race([
        iterator.next(),
        deadline.passed,
      ])) as IteratorResult<Buffer>
      if (done === true) return whole.subarray(0, size)
      if (size + value.length > maxBytes) return undefined
      if (size + value.length > whole.length) whole = grow(whole, Math.max(size + value.length, 2 * size))
      size += value.copy(whole, size)
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

function grow(buffer: Buffer, length: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(length)
  buffer.copy(larger)
  return larger
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
