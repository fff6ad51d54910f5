/*
 * An OpenID Connect provider as a process of its own: the certified npm package `oidc-provider` with its pages for
 * development, on which any password signs a person in. The first argument is a ProviderSettings as JSON.
 */
import { readFileSync } from 'node:fs'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { Provider } from 'oidc-provider'
import type { ProviderSettings } from './oidc-provider.ts'

const settings = JSON.parse(process.argv[2] ?? '') as ProviderSettings
const { issuer, clientId, clientSecret, systemUrl, authority, groups } = settings

if (authority !== undefined) {
  setDefaultCACertificates([...getCACertificates(), readFileSync(authority, 'utf8')])
}

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [`${systemUrl}/oidc/corp/callback`],
      backchannel_logout_uri: `${systemUrl}/oidc/corp/backchannel-logout`,
      backchannel_logout_session_required: true,
    },
  ],
  cookies: { keys: ['only for tests'] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
  // The claims are in the ID token too, as with Keycloak.
  conformIdTokenClaims: false,
  findAccount: async (_context, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, preferred_username: id, groups }),
  }),
  // By default the provider sends no requests to this machine, where registry-manager runs in the tests.
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined } as RequestInit),
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
  },
})
const { hostname, port } = new URL(issuer)
provider.listen(Number(port), hostname)
