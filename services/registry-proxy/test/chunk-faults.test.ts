import t from 'tap'
import { faultOfChunk } from '../src/chunks.ts'

/** Content-Range, Content-Length, Range of the upload's status, and the fault. */
const CASES: readonly [string, string | undefined, string, RegExp | undefined][] = [
  ['0-4', '5', '0-0', undefined],
  ['0-4', undefined, '0-0', undefined],
  ['0-0', '1', '0-0', undefined],
  ['1-4', '4', '0-0', undefined],
  ['5-9', '5', '0-4', undefined],
  ['1000000000000-1000000000001', '2', '0-999999999999', undefined],
  ['5-9', '5', '0-0', /begins at 5, but the upload continues at 0/],
  ['0-4', '5', '0-4', /begins at 0, but the upload continues at 5/],
  ['4-8', '5', '0-4', /begins at 4/],
  ['6-9', '4', '0-4', /begins at 6/],
  ['5-9', '4', '0-4', /has 5 bytes, but Content-Length is 4/],
  ['5-9', '6', '0-4', /Content-Length is 6/],
  ['9-5', '5', '0-8', /before it begins/],
  ['5-9', '5', '', /begins at 5/],
  ...['', '5', '5-', '-5', 'a-b', 'bytes 5-9/10', 'bytes=5-9', '5-9/10', ' 5-9', '5–9', '0x5-9'].map(
    (range): [string, string, string, RegExp] => [range, '5', '0-4', /two offsets/],
  ),
]

for (const [contentRange, contentLength, uploaded, fault] of CASES) {
  const chunk = `Content-Range ${JSON.stringify(contentRange)} and ${contentLength ?? 'unknown'} bytes`
  const what = `a chunk with ${chunk}, at an upload with Range ${JSON.stringify(uploaded)},`
  t.test(`${what} is ${fault === undefined ? 'accepted' : 'refused'}`, async (t) => {
    const found = faultOfChunk({ contentRange, contentLength, uploaded })
    if (fault === undefined) t.equal(found, undefined)
    else t.match(found, fault)
  })
}
