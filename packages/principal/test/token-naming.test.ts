import t from 'tap'
import { tokenNaming } from '../src/token-naming.ts'

const CASES = [
  {
    why: 'a host alone',
    given: ['https://registry.example'],
    issuer: 'registry.example',
    service: 'registry.example',
    aliases: ['registry.example', 'token-service', 'registry.example:443'],
    realm: 'https://registry.example/auth/v2/token',
    publicOrigin: 'https://registry.example',
  },
  {
    why: 'a host and a port',
    given: ['http://localhost:8500/'],
    issuer: 'localhost:8500',
    service: 'localhost:8500',
    aliases: ['localhost:8500', 'token-service', 'localhost'],
    realm: 'http://localhost:8500/auth/v2/token',
    publicOrigin: 'http://localhost:8500',
  },
  {
    why: "the scheme's default port",
    given: ['http://registry.example:80'],
    issuer: 'registry.example',
    service: 'registry.example',
    aliases: ['registry.example', 'token-service', 'registry.example:80'],
    realm: 'http://registry.example/auth/v2/token',
    publicOrigin: 'http://registry.example',
  },
  {
    why: 'TOKEN_SERVICE',
    given: ['https://registry.example:8443', 'the-registry'],
    issuer: 'registry.example:8443',
    service: 'the-registry',
    aliases: ['the-registry', 'token-service', 'registry.example:8443', 'registry.example'],
    realm: 'https://registry.example:8443/auth/v2/token',
    publicOrigin: 'https://registry.example:8443',
  },
  {
    why: 'TOKEN_SERVICE_ALIASES replaces the default aliases',
    given: ['https://registry.example', undefined, 'one, two ,registry.example'],
    issuer: 'registry.example',
    service: 'registry.example',
    aliases: ['registry.example', 'one', 'two'],
    realm: 'https://registry.example/auth/v2/token',
    publicOrigin: 'https://registry.example',
  },
] as const

t.test('issuer, audience and aliases of tokens follow from the public URL', async (t) => {
  for (const { why, given, ...expected } of CASES) {
    const [publicUrl, service, aliases] = given as readonly [string, string?, string?]
    t.strictSame(tokenNaming(publicUrl, service, aliases), expected, why)
  }
})
