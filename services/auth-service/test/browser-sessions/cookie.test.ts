import t from 'tap'
import { createCookie } from '../../src/browser-sessions/cookie.ts'

const secure = createCookie('session', true)
const plain = createCookie('session', false)

t.test(
  'the cookie has the prefix __Host- with https only, because browsers refuse it over plain http',
  async (t) => {
    t.equal(secure.set('abc'), '__Host-session=abc; Path=/; HttpOnly; SameSite=Lax; Secure')
    t.equal(plain.set('abc', 600), 'session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=600')
    t.equal(secure.clear(), '__Host-session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0')
  },
)

t.test('the cookie is read by its whole name, and the first one counts', async (t) => {
  for (const [header, value] of [
    [undefined, undefined],
    ['', undefined],
    ['a=b', undefined],
    ['session=x', undefined],
    ['x__Host-session=x', undefined],
    ['__Host-session=', undefined],
    ['__Host-session=x', 'x'],
    ['a=b; __Host-session=x=y;c=d', 'x=y'],
    ['__Host-session=x; __Host-session=y', 'x'],
  ] as const) {
    t.equal(secure.read(header), value, String(header))
  }
})
