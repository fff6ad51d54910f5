import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { createSemaphore, unavailable } from '@registry-manager/http'
import { isBcryptHash, verifyBcrypt } from './bcrypt.ts'
import { normalisePassword } from '../principals/password-policy.ts'

const hashWith = promisify(argon2)

/** OWASP's parameters for argon2id: 19 MiB, 2 passes, 1 lane. Source: OWASP Password Storage Cheat Sheet. */
const PARAMETERS = { memory: 19 * 1024, passes: 2, parallelism: 1, tagLength: 32 }
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** Concurrent hashes: each one occupies a core for tens of milliseconds. */
const MAX_HASHING = 2
const QUEUE = {
  maxWaitingInLane: 100,
  maxWaiting: 2000,
  onFull: () => unavailable('too many sign-ins at the same time; retry shortly', 1),
}
/** The lane of new passwords: only signed-in users set them. */
const NEW_PASSWORDS = 'new-passwords'

export interface PasswordHasher {
  /** Makes an argon2id hash in PHC format. */
  hash(password: string): Promise<string>
  /**
   * Whether a password matches a stored hash. For null (no such user) it hashes as well and returns false, so that the
   * response time does not reveal which usernames exist. The hash may also be an imported one of bcrypt. `client` is
   * the lane in the queue, such as an address.
   */
  verify(password: string, hash: string | null, client?: string): Promise<boolean>
}

export function createPasswordHasher(): PasswordHasher {
  const semaphore = createSemaphore(MAX_HASHING, QUEUE)
  const hash = async (password: string) => {
    const nonce = randomBytes(16)
    const message = Buffer.from(normalisePassword(password))
    const tag = await semaphore.run(() => hashWith('argon2id', { message, nonce, ...PARAMETERS }), {
      lane: NEW_PASSWORDS,
    })
    const { memory, passes, parallelism } = PARAMETERS
    return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${phcBase64(nonce)}$${phcBase64(tag)}`
  }
  const dummyHash = hash(randomBytes(32).toString('hex'))
  return {
    hash,
    async verify(password, given, client = '') {
      if (given !== null && isBcryptHash(given)) {
        const isRight = (form: string) => semaphore.run(() => verifyBcrypt(form, given), { lane: client })
        if (await isRight(password)) return true
        const normalised = normalisePassword(password)
        return normalised !== password && isRight(normalised)
      }
      const match = PHC.exec(given ?? (await dummyHash))
      if (match === null) throw new Error('a stored password hash is not an argon2id PHC string')
      const [memory, passes, parallelism] = match.slice(1, 4).map(Number) as [number, number, number]
      const [nonce, tag] = match.slice(4).map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer]
      const parameters = { memory, passes, parallelism, tagLength: tag.length }
      const isRight = async (form: string) => {
        const message = Buffer.from(form)
        const actual = await semaphore.run(() => hashWith('argon2id', { message, nonce, ...parameters }), {
          lane: client,
        })
        return timingSafeEqual(actual, tag) && given !== null
      }
      const normalised = normalisePassword(password)
      if (await isRight(normalised)) return true
      // Older hashes were made without normalising the password. ASCII passwords are equal in both forms.
      return normalised !== password && isRight(password)
    },
  }
}

function phcBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
