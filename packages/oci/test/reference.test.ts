import t from 'tap'
import { isDigest, isTag, parseReference } from '../src/reference.ts'

const HEX64 = '0123456789abcdef'.repeat(4)
const HEX128 = HEX64.repeat(2)

t.test('isTag accepts only tags that the specification permits', async (t) => {
  const good = ['latest', 'v1', '1.0', 'A', 'Z9', '_', '_internal', 'a-b.c_d', '0', 'a..b', 'x'.repeat(128)]
  for (const tag of good) t.equal(isTag(tag), true, `takes ${tag}`)
  const bad = [
    '',
    '.',
    '..',
    '.a',
    '-a',
    'a/b',
    'a:b',
    'a b',
    'a+b',
    'a\n',
    'a\0',
    'a%41',
    'é',
    'x'.repeat(129),
  ]
  for (const tag of bad) t.equal(isTag(tag), false, `refuses ${JSON.stringify(tag)}`)
})

t.test('isDigest accepts only sha256 and sha512 digests in lower-case hex', async (t) => {
  t.equal(isDigest(`sha256:${HEX64}`), true, 'takes sha256')
  t.equal(isDigest(`sha512:${HEX128}`), true, 'takes sha512')
  const bad: readonly (readonly [digest: string, why: string])[] = [
    ['', 'nothing'],
    [':', 'a colon alone'],
    ['sha256:', 'no hex'],
    [HEX64, 'no algorithm'],
    [`:${HEX64}`, 'an empty algorithm'],
    [`sha256:${HEX64.slice(1)}`, 'a digit too few'],
    [`sha256:${HEX64}0`, 'a digit too many'],
    [`sha256:${HEX128}`, 'sha256 with the length of sha512'],
    [`sha512:${HEX64}`, 'sha512 with the length of sha256'],
    [`sha256:${HEX64.toUpperCase()}`, 'upper-case hex'],
    [`SHA256:${HEX64}`, 'an upper-case algorithm'],
    [`sha256:${HEX64.slice(1)}g`, 'a letter that is no hex'],
    [`sha256:${HEX64.slice(1)}\n`, 'a line end'],
    [`sha256:${HEX64.slice(1)}/`, 'a slash'],
    [` sha256:${HEX64}`, 'a leading space'],
    [`sha256:sha256:${HEX64}`, 'two algorithms'],
    [`sha1:${HEX64.slice(0, 40)}`, 'sha1'],
    [`md5:${HEX64.slice(0, 32)}`, 'md5'],
    [`sha384:${HEX64}${HEX64.slice(32)}`, 'sha384'],
    [`sha256+b64u:${HEX64}`, 'an encoding'],
    ['constructor:', 'a name of every object'],
    [`__proto__:${HEX64}`, 'the prototype'],
  ]
  for (const [digest, why] of bad) t.equal(isDigest(digest), false, `refuses ${why}`)
})

t.test('a reference is a tag or a digest', async (t) => {
  t.same(parseReference('latest'), { tag: 'latest' })
  t.same(parseReference(`sha256:${HEX64}`), { digest: `sha256:${HEX64}` })
  t.same(parseReference(`sha512:${HEX128}`), { digest: `sha512:${HEX128}` })
  t.same(parseReference(HEX64), { tag: HEX64 }, 'hex without an algorithm is a tag')
  for (const neither of ['', 'a:b', 'sha256:xyz', 'latest:', ':latest', `md5:${HEX64.slice(32)}`, '..']) {
    t.equal(parseReference(neither), undefined, `${JSON.stringify(neither)} is neither`)
  }
})
