import t from 'tap'
import { passwordFault } from '../../src/principals/password-policy.ts'

const LENGTH = /8 to 1024 bytes/
const CASES: readonly (readonly [password: string, fault: RegExp | undefined, why: string])[] = [
  ['', LENGTH, 'nothing'],
  ['1234567', LENGTH, '7 bytes'],
  ['12345678', undefined, '8 bytes'],
  ['päßä', LENGTH, '4 letters of 7 bytes'],
  ['😀😀', undefined, '2 characters of 8 bytes'],
  ['e\u0301e\u0301e\u0301', LENGTH, '9 bytes that are 6 in the composed form'],
  ['e\u0301'.repeat(512), undefined, '1536 bytes that are 1024 in the composed form'],
  ['some\u3000body', undefined, 'a wide space'],
  ['x'.repeat(1024), undefined, '1024 bytes'],
  ['x'.repeat(1025), LENGTH, '1025 bytes'],
  ['ü'.repeat(513), LENGTH, '513 letters of 1026 bytes'],
  ['        ', undefined, 'spaces'],
  ...['\0', '\x01', '\t', '\n', '\r', '\x1f', '\x7f'].map(
    (control) => [`good${control}password`, /control characters/, JSON.stringify(control)] as const,
  ),
  ['~\x80\x9f\u00a0\u2028', undefined, 'control characters beyond ASCII'],
  ['a:b:c:d:e', undefined, 'colons'],
  ['jane-doe', /username/, 'the username'],
  ['Jane-Doe', /username/, 'the username in upper case'],
  ['jane-doe1', undefined, 'the username and more'],
]

t.test('the password policy limits length, control characters and reserved forms', async (t) => {
  for (const [password, fault, why] of CASES) {
    const found = passwordFault(password, 'jane-doe')
    if (fault === undefined) t.equal(found, undefined, `may: ${why}`)
    else t.match(found, fault, `may not: ${why}`)
  }
})

t.test('a fault of a password does not contain the password', async (t) => {
  t.notMatch(passwordFault('hunter2', 'jane-doe'), 'hunter2')
})
