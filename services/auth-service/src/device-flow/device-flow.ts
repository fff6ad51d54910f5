import type { Account } from '../principals/account.ts'
import { hashSecret } from '../principals/secret-hash.ts'
import { makeUserCode, readUserCode } from './user-code.ts'

/** A device that waits for the confirmation of a person, as the page shows it. */
export interface WaitingDevice {
  readonly userCode: string
  /** The name that the device gives itself. */
  readonly clientName: string
  readonly address: string
}

export interface StoredDevice extends WaitingDevice {
  readonly status: 'pending' | 'approved' | 'denied'
  /** The account of the person who approved. */
  readonly accountId: string | null
  readonly generation: number | null
  readonly intervalSeconds: number
  readonly polledAt: Date | null
  readonly expiresAt: Date
}

type Owner = Pick<Account, 'id' | 'generation'>

/** The credentials that a device gets: a personal token. */
export interface DeviceCredentials {
  readonly username: string
  readonly password: string
  readonly expiresInSeconds: number
}

export interface DeviceFlowPorts {
  /** False if the user code is taken. */
  insert(
    device: Pick<StoredDevice, 'intervalSeconds' | 'expiresAt'> & WaitingDevice & { readonly hash: Buffer },
  ): Promise<boolean>
  /** A pending device that has not expired. */
  findPending(userCode: string, now: Date): Promise<WaitingDevice | undefined>
  /** False unless the device was pending and had not expired. */
  decide(userCode: string, now: Date, approvedBy: Owner | undefined): Promise<boolean>
  find(hash: Buffer): Promise<StoredDevice | undefined>
  setPolled(hash: Buffer, polledAt: Date, intervalSeconds: number): Promise<void>
  /** False if the device was deleted before, so that a code works once. */
  delete(hash: Buffer): Promise<boolean>
  findAccount(ref: Pick<Account, 'id'>): Promise<Account | undefined>
  /** Undefined if the person has the largest number of personal tokens already, or may have none. */
  makePersonalToken(account: Account, name: string, expiresAt: Date): Promise<string | undefined>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly randomBytes: (size: number) => Buffer
  readonly randomInt: (max: number) => number
}

/** Source: RFC 8628 §3.2. */
export interface DeviceAuthorization {
  readonly deviceCode: string
  readonly userCode: string
  readonly expiresInSeconds: number
  readonly intervalSeconds: number
}

/** The errors are those of RFC 8628 §3.5 and RFC 6749 §5.2. */
export type Poll =
  | { readonly outcome: 'issued'; readonly credentials: DeviceCredentials; readonly account: Account }
  | {
      readonly outcome:
        | 'authorization_pending'
        | 'slow_down'
        | 'access_denied'
        | 'expired_token'
        | 'invalid_grant'
    }

export interface DeviceFlow {
  begin(clientName: string, address: string): Promise<DeviceAuthorization>
  /** The pending device of a code that a person typed. */
  find(typedCode: string | undefined): Promise<WaitingDevice | undefined>
  /** False if the code is unknown, expired or decided. */
  decide(typedCode: string | undefined, approvedBy: Owner | undefined): Promise<boolean>
  poll(deviceCode: string): Promise<Poll>
}

const LIFE_SECONDS = 600
const INTERVAL_SECONDS = 5
/** Networks delay requests: a device that waits for the interval must not be told to slow down. */
const TOLERANCE_MS = 1000
/** Validity of the credentials of a device: a working day. */
const CREDENTIALS_SECONDS = 12 * 3600
const SECRET_BYTES = 32
const MAX_NAME_LENGTH = 60
/** With a hundred thousand live codes all three tries fail once in 1.7 · 10¹⁶ times. */
const TRIES = 3

/**
 * Device authorization: a program without a browser shows a code, and a signed-in person confirms the code in a
 * browser. The program gets a personal token of that person, which docker accepts as a password. Source: RFC 8628.
 */
export function createDeviceFlow(ports: DeviceFlowPorts): DeviceFlow {
  const { now, randomBytes, randomInt } = ports

  const issue = async (hash: Buffer, device: StoredDevice): Promise<Poll> => {
    if (!(await ports.delete(hash))) return { outcome: 'invalid_grant' }
    const account = device.accountId === null ? undefined : await ports.findAccount({ id: device.accountId })
    // A change that revoked the person's tokens after the approval revokes the approval, too.
    if (account?.enabled !== true || account.generation !== device.generation)
      return { outcome: 'access_denied' }
    const expiresAt = new Date(now() + CREDENTIALS_SECONDS * 1000)
    const name = `${device.clientName}-${device.userCode}`
    const password = await ports.makePersonalToken(account, name, expiresAt)
    if (password === undefined) return { outcome: 'access_denied' }
    const { username } = account
    const credentials = { username, password, expiresInSeconds: CREDENTIALS_SECONDS }
    return { outcome: 'issued', credentials, account }
  }

  return {
    async begin(givenName, address) {
      const deviceCode = randomBytes(SECRET_BYTES).toString('base64url')
      const clientName = nameOf(givenName)
      const expiresAt = new Date(now() + LIFE_SECONDS * 1000)
      for (let tries = 0; tries < TRIES; tries += 1) {
        const userCode = makeUserCode(randomInt)
        const device = { userCode, clientName, address, expiresAt, intervalSeconds: INTERVAL_SECONDS }
        if (await ports.insert({ hash: hashSecret(deviceCode), ...device })) {
          return { deviceCode, userCode, expiresInSeconds: LIFE_SECONDS, intervalSeconds: INTERVAL_SECONDS }
        }
      }
      throw new Error('no free user code was found')
    },

    async find(typedCode) {
      const userCode = readUserCode(typedCode)
      return userCode === undefined ? undefined : ports.findPending(userCode, new Date(now()))
    },

    async decide(typedCode, approvedBy) {
      const userCode = readUserCode(typedCode)
      return userCode !== undefined && ports.decide(userCode, new Date(now()), approvedBy)
    },

    async poll(deviceCode) {
      const hash = hashSecret(deviceCode)
      const device = await ports.find(hash)
      if (device === undefined) return { outcome: 'invalid_grant' }
      if (device.expiresAt.getTime() <= now()) return { outcome: 'expired_token' }
      if (device.status === 'denied') return { outcome: 'access_denied' }
      if (device.status === 'approved') return issue(hash, device)
      const { polledAt, intervalSeconds } = device
      const isEarly = polledAt !== null && now() - polledAt.getTime() < intervalSeconds * 1000 - TOLERANCE_MS
      await ports.setPolled(
        hash,
        new Date(now()),
        isEarly ? intervalSeconds + INTERVAL_SECONDS : intervalSeconds,
      )
      return { outcome: isEarly ? 'slow_down' : 'authorization_pending' }
    },
  }
}

/** The name is only shown. Anybody can choose it, so it has one short line of plain characters. */
function nameOf(given: string): string {
  const name = given
    .replaceAll(/[^\w.-]/g, '')
    .trim()
    .slice(0, MAX_NAME_LENGTH)
  return name === '' ? 'device' : name
}
