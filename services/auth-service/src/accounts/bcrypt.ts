import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/**
 * A bcrypt hash with a cost of 4 to 12. A higher cost would occupy a core for seconds, on every failed sign-in. The
 * versions 2a, 2b and 2y are equal for UTF-8 passwords; 2x is that of a broken implementation.
 * Source: crypt(5), "bcrypt".
 */
export const BCRYPT_PATTERN = String.raw`^\$2[aby]\$(?:0[4-9]|1[0-2])\$[./A-Za-z0-9]{53}$`

const BCRYPT = new RegExp(BCRYPT_PATTERN)

/** Whether a stored hash was imported from another system. */
export function isBcryptHash(hash: string): boolean {
  return BCRYPT.test(hash)
}

/**
 * Whether a password matches a bcrypt hash. bcryptjs computes it in JavaScript, which takes up to a second: a thread
 * keeps that from the event loop. bcrypt ignores what follows the first 72 bytes of a password.
 */
export async function verifyBcrypt(password: string, hash: string): Promise<boolean> {
  const worker = new Worker(new URL('bcrypt-worker.ts', import.meta.url), {
    workerData: { password, hash },
    execArgv: [],
  })
  const [isRight] = (await once(worker, 'message')) as [boolean]
  return isRight
}
