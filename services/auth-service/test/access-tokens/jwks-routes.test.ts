import { X509Certificate, createPublicKey } from 'node:crypto'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { libtrustKeyId } from '../../src/access-tokens/signing-keys.ts'
import { startAuthService } from '../fixtures/auth-service.ts'

const { ask, askInternal } = await startAuthService(t, await pgliteForTest(t))

t.test('the public keys are on both ports without credentials', async (t) => {
  const { token } = (await ask({ url: '/auth/v2/token', as: 'alice' })).json()
  const header = JSON.parse(Buffer.from(token.split('.')[0], 'base64url').toString())
  for (const [port, from] of Object.entries({ public: ask, internal: askInternal })) {
    const response = await from({ url: '/.well-known/jwks.json' })
    t.equal(response.statusCode, 200, port)
    t.match(response.headers['content-type'], /^application\/(jwk-set\+)?json/)
    const { keys } = response.json()
    t.equal(keys.length, 2, 'the current key and the next one')
    t.ok(
      keys.some(({ kid }: { kid: string }) => kid === header.kid),
      'the key that signs access tokens is among them',
    )
    for (const jwk of keys) {
      t.equal(libtrustKeyId(createPublicKey({ key: jwk, format: 'jwk' })), jwk.kid)
      t.notOk('d' in jwk, 'there is no private part')
    }
  }
})

t.test("the authority's certificate is public and verifies the certificate of an access token", async (t) => {
  const response = await ask({ url: '/auth/v2/certs' })
  t.equal(response.statusCode, 200)
  t.match(response.body, /^-----BEGIN CERTIFICATE-----\n/)
  t.notMatch(response.body, 'PRIVATE')
  const authority = new X509Certificate(response.body)
  const { token } = (await ask({ url: '/auth/v2/token', as: 'alice' })).json()
  const { x5c } = JSON.parse(Buffer.from(token.split('.')[0], 'base64url').toString())
  t.ok(new X509Certificate(Buffer.from(x5c[0], 'base64')).verify(authority.publicKey))
})
