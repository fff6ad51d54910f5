import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { unavailable } from '@registry-manager/service-kit'

const hashWith = promisify(argon2)

/** OWASP's parameters for argon2id: 19 MiB, 2 passes, 1 lane. Source: OWASP Password Storage Cheat Sheet. */
const PARAMETERS = { memory: 19 * 1024, passes: 2, parallelism: 1, tagLength: 32 }
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** Hashing takes a core for tens of milliseconds: so many at once, so many waiting, and no more. */
const [MAX_RUNNING, MAX_WAITING] = [2, 200]

export interface PasswordHasher {
  /** Makes an argon2id hash in PHC string format. */
  hash(password: string): Promise<string>
  /** Whether a password is the hash's. Takes as long where there is no hash, so that names cannot be probed. */
  verify(password: string, hash: string | null): Promise<boolean>
}

export function createPasswordHasher(): PasswordHasher {
  const take = createQueue(MAX_RUNNING, MAX_WAITING)
  const hash = async (password: string) => {
    const nonce = randomBytes(16)
    const tag = await take(() =>
      hashWith('argon2id', { message: Buffer.from(password), nonce, ...PARAMETERS }),
    )
    const { memory, passes, parallelism } = PARAMETERS
    return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${phcBase64(nonce)}$${phcBase64(tag)}`
  }
  const nobodys = hash(randomBytes(32).toString('hex'))
  return {
    hash,
    async verify(password, given) {
      const match = PHC.exec(given ?? (await nobodys))
      if (match === null) throw new Error('a stored password hash is not an argon2id PHC string')
      const [memory, passes, parallelism] = match.slice(1, 4).map(Number) as [number, number, number]
      const [nonce, tag] = match.slice(4).map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer]
      const parameters = { memory, passes, parallelism, tagLength: tag.length }
      const actual = await take(() =>
        hashWith('argon2id', { message: Buffer.from(password), nonce, ...parameters }),
      )
      return timingSafeEqual(actual, tag) && given !== null
    },
  }
}

function phcBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}

function createQueue(maxRunning: number, maxWaiting: number) {
  let running = 0
  const waiting: (() => void)[] = []
  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (running >= maxRunning) {
      if (waiting.length >= maxWaiting) throw unavailable('too many are signing in at once', 1)
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else {
      running += 1
    }
    try {
      return await work()
    } finally {
      // A place is handed on, or given back.
      const next = waiting.shift()
      if (next !== undefined) next()
      else running -= 1
    }
  }
}
