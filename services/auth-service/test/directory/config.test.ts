import { ConfigError, readEnvironment } from '@registry-manager/http'
import t from 'tap'
import { Type } from 'typebox'
import { createSigningKeys } from '../../src/access-tokens/signing-key-files.ts'
import { directorySettings, readDirectory } from '../../src/directory/config.ts'

const schema = Type.Object(directorySettings)
const read = (env: Record<string, string>) => readDirectory(readEnvironment(schema, env))

const BASIC = {
  DIRECTORY_URL: 'ldaps://dc1.example.com',
  DIRECTORY_BASE_DN: 'DC=example,DC=com',
  DIRECTORY_BIND_DN: 'CN=service,DC=example,DC=com',
  DIRECTORY_BIND_PASSWORD: 'hunter2-of-the-service',
}
const GROUP = '{"CN=dev,DC=example,DC=com":{"namespaces":["team"]}}'

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    read(env)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.faults
  }
}

t.test('no directory is configured without DIRECTORY_URL', async (t) => {
  t.equal(read({}), undefined)
  t.equal(read({ DIRECTORY_START_TLS: 'false', DIRECTORY_REFRESH_SECONDS: '60' }), undefined)
})

t.test('the directory settings have defaults except the required ones', async (t) => {
  t.strictSame(read(BASIC), {
    servers: [{ url: 'ldaps://dc1.example.com', host: 'dc1.example.com', port: 636, tls: true }],
    startTls: false,
    ca: undefined,
    baseDn: 'DC=example,DC=com',
    service: { dn: BASIC.DIRECTORY_BIND_DN, password: BASIC.DIRECTORY_BIND_PASSWORD },
    userFilter: undefined,
    bindTemplate: undefined,
    groups: undefined,
    autoCreate: false,
    refreshSeconds: 300,
  })
})

t.test('the directory servers keep the order of DIRECTORY_URL', async (t) => {
  const DIRECTORY_URL = 'ldaps://dc1.example.com:3269, ldap://127.0.0.1,ldaps://[::1]/'
  t.match(read({ ...BASIC, DIRECTORY_URL, DIRECTORY_START_TLS: 'true' })?.servers, [
    { host: 'dc1.example.com', port: 3269, tls: true },
    { host: '127.0.0.1', port: 389, tls: false },
    { host: '::1', port: 636, tls: true },
  ])
})

t.test('certificates, passwords and the group map are read from files', async (t) => {
  const folder = t.testdir({ map: GROUP, password: 'of-a-file\n' })
  await createSigningKeys(`${folder}/keys`)
  const { DIRECTORY_BIND_PASSWORD: _password, ...others } = BASIC
  const config = read({
    ...others,
    DIRECTORY_BIND_PASSWORD_FILE: `${folder}/password`,
    DIRECTORY_CA_FILE: `${folder}/keys/ca.pem`,
    DIRECTORY_GROUP_MAP_FILE: `${folder}/map`,
    DIRECTORY_AUTO_CREATE: 'true',
  })
  t.match(config?.ca, /^-----BEGIN CERTIFICATE-----/)
  t.equal(config?.service?.password, 'of-a-file')
  t.strictSame([...(config?.groups ?? [])].flat(), [
    'cn=dev,dc=example,dc=com',
    { role: null, namespaces: ['team'] },
  ])
  t.equal(config?.autoCreate, true)
})

t.test('a bind template works without and with a service account', async (t) => {
  for (const template of ['{username}@example.com', 'uid={username},ou=people,dc=example,dc=org']) {
    const { DIRECTORY_BIND_DN: _dn, DIRECTORY_BIND_PASSWORD: _password, ...others } = BASIC
    const config = read({ ...others, DIRECTORY_BIND_TEMPLATE: template })
    t.match(config, { bindTemplate: template, service: undefined }, 'without a service account')
    t.match(read({ ...BASIC, DIRECTORY_BIND_TEMPLATE: template }), { service: {} }, 'with a service account')
  }
})

const BAD: readonly (readonly [why: string, change: Record<string, string>, ...faults: RegExp[]])[] = [
  ['another scheme', { DIRECTORY_URL: 'http://dc1' }, /^DIRECTORY_URL /],
  ['a path', { DIRECTORY_URL: 'ldaps://dc1/dc=x' }, /^DIRECTORY_URL /],
  ['a password in the URL', { DIRECTORY_URL: 'ldaps://me:secret@dc1' }, /^DIRECTORY_URL /],
  ['plaintext', { DIRECTORY_URL: 'ldap://dc1' }, /^DIRECTORY_URL .*DIRECTORY_START_TLS/],
  [
    'one plaintext URL of several',
    { DIRECTORY_URL: 'ldaps://dc1,ldap://dc2' },
    /^DIRECTORY_URL .*unencrypted/,
  ],
  ['StartTLS on TLS', { DIRECTORY_START_TLS: 'true' }, /^DIRECTORY_START_TLS /],
  [
    'StartTLS and plaintext',
    { DIRECTORY_URL: 'ldap://dc1', DIRECTORY_START_TLS: '1', DIRECTORY_ALLOW_PLAINTEXT: '1' },
    /^DIRECTORY_START_TLS and DIRECTORY_ALLOW_PLAINTEXT/,
  ],
  ['no base', { DIRECTORY_BASE_DN: '' }, /^DIRECTORY_BASE_DN is required/],
  ['an invalid base', { DIRECTORY_BASE_DN: 'example.com' }, /^DIRECTORY_BASE_DN /],
  [
    'no password of the service account',
    { DIRECTORY_BIND_PASSWORD: '' },
    /^DIRECTORY_BIND_PASSWORD is required/,
  ],
  ['a password without a service account', { DIRECTORY_BIND_DN: '' }, /^DIRECTORY_BIND_DN is required/],
  [
    'neither a service account nor a bind template',
    { DIRECTORY_BIND_DN: '', DIRECTORY_BIND_PASSWORD: '' },
    /^set DIRECTORY_BIND_DN .* or DIRECTORY_BIND_TEMPLATE/,
  ],
  ['a filter without the placeholder', { DIRECTORY_USER_FILTER: '(uid=alice)' }, /^DIRECTORY_USER_FILTER /],
  ['an unbalanced filter', { DIRECTORY_USER_FILTER: '(&(uid={username})' }, /^DIRECTORY_USER_FILTER /],
  ['a filter without parentheses', { DIRECTORY_USER_FILTER: 'uid={username}' }, /^DIRECTORY_USER_FILTER /],
  [
    'a bind template without a domain',
    { DIRECTORY_BIND_TEMPLATE: '{username}' },
    /^DIRECTORY_BIND_TEMPLATE /,
  ],
  [
    'a bind template with a NetBIOS domain',
    { DIRECTORY_BIND_TEMPLATE: 'EXAMPLE\\{username}' },
    /^DIRECTORY_BIND_TEMPLATE /,
  ],
  [
    'a bind template without the placeholder',
    { DIRECTORY_BIND_TEMPLATE: 'uid=alice,dc=x' },
    /^DIRECTORY_BIND_TEMPLATE /,
  ],
  [
    'an invalid distinguished name',
    { DIRECTORY_BIND_TEMPLATE: 'uid={username},x' },
    /^DIRECTORY_BIND_TEMPLATE /,
  ],
  ['a string that is not a certificate', { DIRECTORY_CA: 'x' }, /^DIRECTORY_CA_FILE /],
  [
    'a broken certificate',
    { DIRECTORY_CA: '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----' },
    /^DIRECTORY_CA_FILE /,
  ],
  ['a missing file', { DIRECTORY_CA_FILE: '/nowhere/ca.pem' }, /^DIRECTORY_CA_FILE cannot be read/],
  [
    'an invalid group map',
    { DIRECTORY_GROUP_MAP: '{"a":{},"b":{}}' },
    /^DIRECTORY_GROUP_MAP_FILE "a"/,
    /"b"/,
  ],
  [
    'automatic accounts without a group map',
    { DIRECTORY_AUTO_CREATE: 'true' },
    /^DIRECTORY_GROUP_MAP_FILE is required/,
  ],
  ['a refresh time that is too short', { DIRECTORY_REFRESH_SECONDS: '4' }, /^DIRECTORY_REFRESH_SECONDS /],
  ['a flag that is not a boolean', { DIRECTORY_AUTO_CREATE: 'yes' }, /^DIRECTORY_AUTO_CREATE /],
  [
    'other settings without DIRECTORY_URL',
    { DIRECTORY_URL: '' },
    /^DIRECTORY_URL is required if DIRECTORY_BASE_DN is set/,
  ],
  [
    'several faults at the same time',
    { DIRECTORY_BASE_DN: 'x', DIRECTORY_USER_FILTER: 'x', DIRECTORY_BIND_TEMPLATE: 'x' },
    /^DIRECTORY_BASE_DN /,
    /^DIRECTORY_USER_FILTER /,
    /^DIRECTORY_BIND_TEMPLATE /,
  ],
]

for (const [why, change, ...expected] of BAD) {
  t.test(`directory settings are refused: ${why}`, async (t) => {
    const faults = faultsOf({ ...BASIC, ...change })
    t.equal(faults.length, expected.length)
    t.match(faults, expected)
    t.notMatch(faults.join(), /hunter2|secret/, 'no message contains a value')
  })
}
