/**
 * Rejects as soon as the signal aborts: undici reads its signal only when a connection is open, not during a DNS
 * lookup. The listener is removed when the promise settles: a signal with a timeout would keep the request and its body
 * in memory until the timeout.
 */
export function untilAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort))
}
