import { randomInt } from 'node:crypto'
import t from 'tap'
import { makeUserCode, readUserCode } from '../../src/device-flow/user-code.ts'

t.test('a user code has eight consonants, so that it is no word and is easy to type', async (t) => {
  const codes = Array.from({ length: 1000 }, () => makeUserCode((max) => randomInt(max)))
  for (const code of codes) t.match(code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
  t.equal(new Set(codes).size, codes.length)
})

t.test('a user code may be typed in any case and with any punctuation', async (t) => {
  for (const typed of ['BCDF-GHJK', 'bcdfghjk', ' bcdf ghjk ', 'B.C.D.F.G.H.J.K']) {
    t.equal(readUserCode(typed), 'BCDF-GHJK', typed)
  }
  for (const typed of [undefined, '', 'BCDF', 'BCDF-GHJKL', 'ABCD-FGHJ', 'BCDF-GHJ0', `BCDF-GHJ\0`]) {
    t.equal(readUserCode(typed), undefined, String(typed))
  }
})
