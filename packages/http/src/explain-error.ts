/** Messages for error codes of system calls, for errors without a message. Source: errno(3). */
const CODES: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EIO: 'the disk failed',
  EMFILE: 'too many open files in this process',
  ENFILE: 'too many open files on this machine',
}

/** Errors of PGlite's file system have a WASI errno and no message. Source: WASI preview 1, errno. */
const WASI_CODES: Readonly<Record<number, string>> = {
  2: 'EACCES',
  19: 'EDQUOT',
  29: 'EIO',
  33: 'EMFILE',
  41: 'ENFILE',
  51: 'ENOSPC',
  63: 'EPERM',
  69: 'EROFS',
}

const ERRNO = /^E[A-Z0-9]+$/

/**
 * Describes an error in one line that is never empty. Errors without a message are AggregateErrors of connection
 * attempts (their inner errors have one), errnos of a WebAssembly file system, and thrown values that are not errors.
 * Appends path and code if the message lacks them.
 */
export function explainError(error: unknown): string {
  if (error === null || typeof error !== 'object') return `failed without an error object: ${String(error)}`
  const { message, name, code, errno, path, errors } = error as NodeJS.ErrnoException & {
    errors?: readonly unknown[]
  }
  const number = typeof errno === 'number' ? errno : undefined
  const wasi = name === 'ErrnoError' && number !== undefined ? WASI_CODES[number] : undefined
  const word = code ?? wasi ?? (number === undefined ? undefined : `errno ${number}`)
  const base = message || errors?.map(explainError).join('; ') || undefined
  const known = CODES[String(word)]
  const parts = [base ?? known ?? (name && name !== 'Error' ? name : 'failed without a reason')]
  if (base !== undefined && known !== undefined && !base.includes(known)) parts.push(known)
  // Codes of libraries, such as OpenSSL's, add nothing to their message.
  const isNew = word !== undefined && (base === undefined || ERRNO.test(word))
  if (isNew && !parts.join().includes(word)) parts.push(word)
  if (path !== undefined && !parts.join().includes(path)) parts.push(path)
  return parts.join(', ')
}
