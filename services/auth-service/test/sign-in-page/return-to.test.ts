import t from 'tap'
import { ownPath } from '../../src/sign-in-page/return-to.ts'

const OWN = [
  ['/', '/'],
  ['/device?user_code=BCDF-GHJK', '/device?user_code=BCDF-GHJK'],
  ['/docs/auth#users', '/docs/auth'],
  ['/a/../b', '/b'],
  ['/x?next=https://evil.example', '/x?next=https://evil.example'],
  ['/ä', '/%C3%A4'],
  ['/a\r\nSet-Cookie: x=y', '/aSet-Cookie:%20x=y'],
] as const

const FOREIGN = [
  undefined,
  '',
  'sign-in',
  'https://evil.example',
  'https:evil.example',
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/.//evil.example',
  '/..//evil.example',
  '/a/..//evil.example',
  '/%2e//evil.example',
  '/./\\evil.example',
  ' //evil.example',
  '//evil.example@own.invalid',
  '//user:password@own.invalid/',
  'javascript:alert(1)',
  'data:text/html,x',
  `/${'x'.repeat(2048)}`,
]

t.test('a person returns to a path of registry-manager after signing in', async (t) => {
  for (const [text, path] of OWN) t.equal(ownPath(text), path, text)
})

t.test('no return_to leads to another host', async (t) => {
  for (const text of FOREIGN) t.equal(ownPath(text), undefined, JSON.stringify(text?.slice(0, 60)))
})
