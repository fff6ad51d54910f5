import type { Test } from 'tap'
import type { ConnectedForTest } from './connected-directory.ts'
import { connectForTest, withRetries } from './connected-directory.ts'

export const PASSWORDS = {
  alice: 'Password-of-alice-1',
  bob: 'Password-of-bob-1',
  carol: 'Password-of-carol-1',
}
export const WRONG_PASSWORD = 'Wrong-password-1'
/** Names with LDAP filter or DN syntax that match no user. */
export const UNKNOWN_NAMES = [
  ['nobody', '*', 'al*', 'a*e', ')(uid=*', 'alice)(uid=*', '*)(uid=alice', 'alice)(objectClass=*))(&(x=y'],
  ['\\', 'alice\\', String.raw`\2a`, String.raw`alice\00`, 'alice\0', '\0', 'a\0lice', '(', ')', '&', '|'],
  ['alice,ou=people', 'alice+cn=x', '#alice', 'älice', 'alicé', '✱', '{username}', '$&', ''],
].flat()

/** Connects to the directory and retries while the machine is busy. */
export function connectWithRetries(t: Test, settings: Record<string, string>): ConnectedForTest {
  return withRetries(connectForTest(t, settings))
}
