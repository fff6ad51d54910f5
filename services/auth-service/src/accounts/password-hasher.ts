import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { unavailable } from '@registry-manager/http'
import { normalisePassword } from './password-form.ts'
import { createFairQueue } from './fair-queue.ts'

const hashWith = promisify(argon2)

/** OWASP's parameters for argon2id: 19 MiB, 2 passes, 1 lane. Source: OWASP Password Storage Cheat Sheet. */
const PARAMETERS = { memory: 19 * 1024, passes: 2, parallelism: 1, tagLength: 32 }
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** Hashing takes a core for tens of milliseconds: two at once. A client may have so many waiting, and all together. */
const QUEUE = {
  maxRunning: 2,
  maxWaitingInLane: 100,
  maxWaiting: 2000,
  onFull: () => unavailable('too many are signing in at once', 1),
}
/** Where passwords that are being set wait; people who are signed in set them. */
const SETTING = 'setting'

export interface PasswordHasher {
  /** Makes an argon2id hash in PHC string format. */
  hash(password: string): Promise<string>
  /**
   * Whether a password is the hash's. Takes as long where there is no hash, so that names cannot be probed. `client`:
   * whose turn it is in the queue, such as an address.
   */
  verify(password: string, hash: string | null, client?: string): Promise<boolean>
}

export function createPasswordHasher(): PasswordHasher {
  const queue = createFairQueue(QUEUE)
  const hash = async (password: string) => {
    const nonce = randomBytes(16)
    const message = Buffer.from(normalisePassword(password))
    const tag = await queue.run(SETTING, () => hashWith('argon2id', { message, nonce, ...PARAMETERS }))
    const { memory, passes, parallelism } = PARAMETERS
    return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${phcBase64(nonce)}$${phcBase64(tag)}`
  }
  const nobodys = hash(randomBytes(32).toString('hex'))
  return {
    hash,
    async verify(password, given, client = '') {
      const match = PHC.exec(given ?? (await nobodys))
      if (match === null) throw new Error('a stored password hash is not an argon2id PHC string')
      const [memory, passes, parallelism] = match.slice(1, 4).map(Number) as [number, number, number]
      const [nonce, tag] = match.slice(4).map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer]
      const parameters = { memory, passes, parallelism, tagLength: tag.length }
      const isRight = async (form: string) => {
        const message = Buffer.from(form)
        const actual = await queue.run(client, () => hashWith('argon2id', { message, nonce, ...parameters }))
        return timingSafeEqual(actual, tag) && given !== null
      }
      const normalised = normalisePassword(password)
      if (await isRight(normalised)) return true
      // Before passwords were normalised, they were hashed as they came. Only one that comes in another form than the
      // normal one is hashed a second time: none in ASCII is, and hardly any other.
      return normalised !== password && isRight(password)
    },
  }
}

function phcBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
