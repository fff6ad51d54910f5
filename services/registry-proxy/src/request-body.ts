import type { Readable } from 'node:stream'
import { ProblemError } from '@registry-manager/http'
import type { RegistryRequest } from '@registry-manager/oci'
import { parseMount } from '@registry-manager/oci'
import type { FastifyRequest } from 'fastify'
import type { Refusal } from './refuse.ts'

/** Time limit for sending a body that is read into memory, in milliseconds: 4 MiB at 70 kB/s. */
const READ_MS = 60_000

export interface ReadOptions {
  readonly maxBytes: number
  /** The body's Content-Length, if it has one. */
  readonly length?: number | undefined
  /** Time limit for sending the body, in milliseconds. */
  readonly readMs?: number
}

/**
 * Reads a body of at most `maxBytes` into one buffer, without a copy of all its chunks: it may have 4 MiB. Returns
 * undefined for a longer body, and leaves its rest unread. Throws ProblemError if the client disconnects or is too
 * slow: neither is a fault of this service.
 */
export async function readBody(
  body: Readable,
  { maxBytes, length = 0, readMs = READ_MS }: ReadOptions,
): Promise<Buffer | undefined> {
  let buffer = Buffer.allocUnsafeSlow(Math.min(length, maxBytes))
  let size = 0
  const iterator = body.iterator({ destroyOnReturn: false })
  const deadline = createDeadline(readMs)
  try {
    for (;;) {
      const { done, value } = (await Promise.race([
        iterator.next(),
        deadline.passed,
      ])) as IteratorResult<Buffer>
      if (done === true) return buffer.subarray(0, size)
      if (size + value.length > maxBytes) return undefined
      if (size + value.length > buffer.length) buffer = grow(buffer, Math.max(size + value.length, 2 * size))
      size += value.copy(buffer, size)
    }
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause
    throw new ProblemError(
      { status: 400, detail: 'the client closed the connection within the body' },
      { cause },
    )
  } finally {
    deadline.clear()
    // Releases the stream so that `refuse` can discard the rest. Not awaited: it would wait for a pending read.
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
    const detail = `the body did not arrive within ${milliseconds / 1000} s`
    const problem = { status: 408, detail, headers: { connection: 'close' } }
    timer = setTimeout(() => reject(new ProblemError(problem)), milliseconds)
  })
  // Nothing awaits the deadline of a body that arrived in time.
  passed.catch(() => undefined)
  return { passed, clear: () => clearTimeout(timer) }
}

const MAX_FORM_BYTES = 16 * 1024

/**
 * Adds the mount that a form body names to the start of an upload. distribution prefers parameters of the form to those
 * of the query, so the decision needs them as well. The body is not read if it is too long for a form, or if the client
 * waits for 100 Continue, which it gets only after the decision. Then only the query counts: the body never reaches the
 * registry. Returns the same object if there is no form.
 * Source: distribution 2.8, registry/handlers/blobupload.go, `r.FormValue`.
 */
export async function withFormMount(
  registryRequest: RegistryRequest,
  request: FastifyRequest,
): Promise<RegistryRequest | { readonly refused: Refusal }> {
  const isForm = request.headers['content-type']
    ?.toLowerCase()
    .startsWith('application/x-www-form-urlencoded')
  const isShort = Number(request.headers['content-length'] ?? Infinity) <= MAX_FORM_BYTES
  const isWaiting = request.headers.expect !== undefined
  if (registryRequest.kind !== 'upload-start' || !isForm || !isShort || isWaiting) return registryRequest
  const body = await readBody(request.raw, { maxBytes: MAX_FORM_BYTES })
  const form = new URLSearchParams(body?.toString('utf8'))
  for (const [name, value] of Object.entries(registryRequest.mount ?? {})) {
    const parameter = name === 'digest' ? 'mount' : name
    if (!form.has(parameter)) form.set(parameter, value)
  }
  const mount = parseMount(form)
  return mount !== undefined && 'refused' in mount ? mount : { ...registryRequest, mount }
}
