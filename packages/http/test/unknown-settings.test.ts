import t from 'tap'
import { findUnknownSettings } from '../src/index.ts'

const KNOWN = [
  'HOST',
  'PORT',
  'PUBLIC_URL',
  'LOG_LEVEL',
  'TOKEN_TTL_SECONDS',
  'DIRECTORY_URL',
  'HTTP_PORT',
  'DATA_DIR',
]

t.test('a warning names a misspelt setting and the correct one', async (t) => {
  for (const [name, meant] of [
    ['PUBLIC_ULR', 'PUBLIC_URL'],
    ['PUBLICURL', 'PUBLIC_URL'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['log_level', 'LOG_LEVEL'],
    ['TOKEN_TTL_SECOND', 'TOKEN_TTL_SECONDS'],
    ['DIRECTORY_URI', 'DIRECTORY_URL'],
    ['DATADIR', 'DATA_DIR'],
    ['PUBLIC_URL_FIEL', 'PUBLIC_URL_FILE'],
  ] as const) {
    t.strictSame(findUnknownSettings([name], KNOWN), [
      `${name} is not a setting and has no effect: is ${meant} meant?`,
    ])
  }
})

t.test('a warning names an unknown variable with a prefix of registry-manager', async (t) => {
  const [warning = ''] = findUnknownSettings(['DIRECTORY_TIMEOUT_SECONDS'], KNOWN)
  t.match(warning, /^DIRECTORY_TIMEOUT_SECONDS is not a setting .*docs\/settings\.md/)
})

t.test('there is no warning about settings, their files and variables of other programs', async (t) => {
  const others = [
    'PATH',
    'HOME',
    'HOSTNAME',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'NODE_ENV',
    'POSTGRES_PASSWORD',
    'PORTS',
    'COST',
  ]
  t.strictSame(findUnknownSettings([...KNOWN, 'PUBLIC_URL_FILE', ...others], KNOWN), [])
  t.strictSame(findUnknownSettings(['P'.repeat(100_000)], KNOWN), [], 'a very long name')
})
