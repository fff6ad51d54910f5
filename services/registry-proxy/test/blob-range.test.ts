import t from 'tap'
import { blobRange } from '../src/request-headers.ts'

/* RFC 9110 §14 */

const NONE = 'bytes=9223372036854775807-'

const cases: readonly (readonly [why: string, range: string | undefined, sent: string | undefined])[] = [
  ['no Range header', undefined, undefined],
  ['a range', 'bytes=0-5', 'bytes=0-5'],
  ['an open range', 'bytes=5-', 'bytes=5-'],
  ['the last bytes', 'bytes=-5', 'bytes=-5'],
  ['several ranges', 'bytes=0-1, 3-4', 'bytes=0-1,3-4'],
  ['a unit in capitals', 'BYTES=0-5', 'bytes=0-5'],
  ['a unit in mixed case', 'Bytes=-5', 'bytes=-5'],
  ['another unit', 'items=0-5', undefined],
  ['a unit with bytes as prefix', 'bytesx=0-5', undefined],
  ['no unit', '0-5', undefined],
  ['an empty unit', '=0-5', undefined],
  ['the last 0 bytes', 'bytes=-0', NONE],
  ['the last 0 bytes, written with two digits', 'bytes=-00', NONE],
  ['the last 0 bytes beside a satisfiable range', 'bytes=-0,0-5', `${NONE},0-5`],
  ['a malformed range', 'bytes=x', 'bytes=x'],
  ['a range that ends before it begins', 'bytes=5-0', 'bytes=5-0'],
  ['16 ranges', `bytes=${Array(16).fill('0-0').join(',')}`, `bytes=${Array(16).fill('0-0').join(',')}`],
  ['17 ranges', `bytes=${Array(17).fill('0-0').join(',')}`, undefined],
]

for (const [why, range, sent] of cases) {
  t.test(
    `a GET with ${why} (${range?.slice(0, 20)}) is forwarded with Range ${sent?.slice(0, 40)}`,
    async (t) => {
      t.equal(blobRange('GET', range), sent)
    },
  )
}

t.test('Range is ignored for HEAD and DELETE', async (t) => {
  for (const method of ['HEAD', 'DELETE']) t.equal(blobRange(method, 'bytes=0-5'), undefined)
})
