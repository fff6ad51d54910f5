import Fastify from 'fastify'
import t from 'tap'
import { credentialsOf, readCredentials } from '../src/credentials.ts'

const app = Fastify()
await readCredentials(app)
app.get('/', async (request) => credentialsOf(request))
t.teardown(() => app.close())

const base64 = (text: string) => Buffer.from(text).toString('base64')
const basic = (userpass: string) => `Basic ${base64(userpass)}`
const is = (username: string, password: string) => ({ kind: 'basic', username, password })
const NONE = { kind: 'none' }
const MALFORMED = { kind: 'malformed' }

const CASES: readonly (readonly [why: string, header: string | undefined, found: object])[] = [
  ['no header', undefined, NONE],
  ['basic', basic('alice:s3cret-word'), is('alice', 's3cret-word')],
  [
    'basic, with the scheme in lower case',
    basic('alice:word').replace('Basic', 'basic'),
    is('alice', 'word'),
  ],
  [
    'basic, with the scheme in upper case',
    basic('alice:word').replace('Basic', 'BASIC'),
    is('alice', 'word'),
  ],
  ['a password of colons', basic('alice::a:b:'), is('alice', ':a:b:')],
  ['UTF-8', basic('jürgen:pässwörd-✓-😀'), is('jürgen', 'pässwörd-✓-😀')],
  ['a password of spaces', basic('alice:  a b  '), is('alice', '  a b  ')],
  ['an empty password', basic('alice:'), is('alice', '')],
  ['an empty name', basic(':word'), is('', 'word')],
  ['a name with a space', basic('al ice:word'), is('al ice', 'word')],
  ['base64 without its padding', basic('alice:word1').replaceAll('=', ''), is('alice', 'word1')],
  ['no colon', basic('alice'), MALFORMED],
  ['nothing after the scheme', 'Basic ', MALFORMED],
  ['the scheme alone', 'Basic', MALFORMED],
  ['characters that are not base64', 'Basic !!!!', MALFORMED],
  ['base64 with a comma', `Basic ${base64('alice:word')},x`, MALFORMED],
  ['two tokens', `Basic ${base64('alice:word')} ${base64('bob:word')}`, MALFORMED],
  ['a NUL in the password', basic('alice:wo\0rd'), MALFORMED],
  ['a line end in the password', basic('alice:wo\nrd'), MALFORMED],
  ['a line end in the name', basic('al\rice:word'), MALFORMED],
  ['DEL in the name', basic('al\x7fice:word'), MALFORMED],
  ['bearer', 'Bearer abc.def-_~+/.ghi==', { kind: 'bearer', token: 'abc.def-_~+/.ghi==' }],
  ['bearer in lower case', 'bearer abc', { kind: 'bearer', token: 'abc' }],
  ['bearer without a token', 'Bearer ', MALFORMED],
  ['bearer alone', 'Bearer', MALFORMED],
  ['bearer with two tokens', 'Bearer abc def', MALFORMED],
  ['bearer with a comma', 'Bearer abc,def', MALFORMED],
  ['bearer with padding inside', 'Bearer a=b', MALFORMED],
  ['a scheme without a space before its token', 'Bearerabc', MALFORMED],
  ['another scheme', 'Digest username="alice"', MALFORMED],
  ['two schemes', `Bearer abc, ${basic('alice:word')}`, MALFORMED],
  ['an empty header', '', MALFORMED],
]

t.test('the Authorization header is parsed into credentials', async (t) => {
  for (const [why, header, found] of CASES) {
    const headers = header === undefined ? {} : { authorization: header }
    const response = await app.inject({ url: '/', headers })
    t.equal(response.statusCode, 200, `${why}: not verified`)
    t.strictSame(response.json(), found, why)
  }
})

t.test('credentials of one request do not leak into the next', async (t) => {
  await app.inject({ url: '/', headers: { authorization: basic('alice:word') } })
  t.strictSame((await app.inject('/')).json(), NONE)
})
