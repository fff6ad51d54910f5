import t from 'tap'
import type { TSchema } from 'typebox'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { readEnvironment } from '../src/config.ts'
import { listenSettings, readListen, settings } from '../src/settings.ts'

const TABLE: readonly (readonly [
  name: string,
  schema: TSchema,
  good: readonly string[],
  bad: readonly string[],
])[] = [
  [
    'a public URL',
    settings.publicUrl,
    [
      'http://localhost:8500',
      'https://registry.example',
      'https://registry.example:8443/',
      'http://[::1]:80',
    ],
    ['registry.example', 'ftp://registry.example', 'https://', 'https://a/b', 'https://a?b', 'https://u:p@a'],
  ],
  ['a URL of a service', settings.url('x'), ['http://127.0.0.1:9001'], ['127.0.0.1:9001', 'http://a/b', '']],
  [
    'a service credential',
    settings.serviceCredential,
    ['x'.repeat(32), 'ü'.repeat(40)],
    ['', 'short', 'x'.repeat(31)],
  ],
  [
    'a list of trusted proxies',
    settings.trustedProxies,
    ['127.0.0.1', '10.0.0.0/8, 192.168.1.7', '::1', 'fd00::/8,127.0.0.1/32'],
    [
      '',
      'localhost',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      '999.1.1.1',
      'fd00::/129',
      'fe80::1%eth0',
      '10.0.0.1,',
      '*',
    ],
  ],
  ['a log level', settings.logLevel, ['info', 'silent', 'trace'], ['INFO', 'loud', '']],
  [
    'a token service',
    settings.tokenService,
    ['registry.example:8443', 'token-service'],
    ['', 'a b', 'a"b', 'a,b'],
  ],
]

t.test('shared settings accept only valid values', async (t) => {
  for (const [name, schema, good, bad] of TABLE) {
    for (const value of good) t.equal(Value.Check(schema, value), true, `"${value}" is ${name}`)
    for (const value of bad) t.equal(Value.Check(schema, value), false, `"${value}" is not ${name}`)
  }
})

t.test('listen settings have defaults and become listen options', async (t) => {
  const schema = Type.Object(listenSettings({ port: 8001, internalPort: 9001 }))
  t.strictSame(readListen(readEnvironment(schema, { SHUTDOWN_GRACE_SECONDS: '5' })), {
    host: '0.0.0.0',
    port: 8001,
    internalPort: 9001,
    shutdownDelaySeconds: 0,
    shutdownGraceSeconds: 5,
  })
})
