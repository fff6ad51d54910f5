import { randomBytes } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { Accounts } from '../accounts/index.ts'
import { createCookie } from '../browser-sessions/cookie.ts'
import type { RequestSessions } from '../browser-sessions/request-session.ts'
import type { Account } from '../principals/account.ts'
import type { SignInLink } from '../sign-in-page/pages.ts'
import type { OidcProvider } from './config.ts'
import type { ProviderRoutes } from './oidc-routes.ts'
import { callbackUrl, oidcRoutes } from './oidc-routes.ts'
import { connectProvider } from './openid/connect-provider.ts'
import { signOutByProvider } from './provider-logout.ts'
import { createProviderSignIn } from './provider-sign-in.ts'
import { createProvidersRepository } from './providers-repository.ts'

export interface OidcDeps {
  readonly db: Database
  readonly accounts: Pick<Accounts, 'find' | 'create' | 'endSessions'>
  /** Makes an account a member of the groups whose mappings of a source name one of these groups. */
  setExternalMemberships(account: Account, source: string, names: readonly string[]): Promise<unknown>
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface OidcRegistration {
  readonly sessions: RequestSessions
  readonly unavailableDependency: UnavailableDependency
}

const BY_PROVIDER = { cause: 'provider' } as const

/** Sign-in of people at OpenID Connect providers. */
export function createOidc(configs: readonly OidcProvider[], deps: OidcDeps) {
  const { db, accounts, publicOrigin, now } = deps
  const repository = createProvidersRepository(db)
  const ports = {
    ...repository,
    findAccount: accounts.find,
    async createAccount(username: string, provider: string) {
      const rights = { role: 'user', enabled: true, namespaces: [] } as const
      await accounts.create({ username, directory: false, provider, password: null, ...rights }, BY_PROVIDER)
    },
    async endSessions(id: string) {
      await accounts.endSessions({ id }, BY_PROVIDER)
    },
    saveGroups: (account: Account, provider: string, groups: readonly string[]) =>
      deps.setExternalMemberships(account, `provider:${provider}`, groups),
    now,
    randomBytes,
  }
  const providers = new Map<string, ProviderRoutes>(
    configs.map((config) => {
      const provider = connectProvider({
        provider: config,
        redirectUri: callbackUrl(publicOrigin, config.id),
        now,
      })
      return [
        config.id,
        {
          label: config.label,
          signIn: createProviderSignIn(provider, config, ports),
          signOut: (logoutToken) => signOutByProvider(provider, ports, logoutToken),
        },
      ]
    }),
  )
  const links: readonly SignInLink[] = configs.map(({ id, label }) => ({
    label,
    path: `/oidc/${id}/sign-in`,
  }))
  return {
    links,
    ids: configs.map(({ id }) => id),
    async register(app: FastifyInstance, { sessions, unavailableDependency }: OidcRegistration) {
      await app.register(oidcRoutes, {
        providers,
        links,
        publicOrigin,
        sessions,
        browserCookie: createCookie('registry-manager-sign-in', publicOrigin.startsWith('https:')),
        newBrowserSecret: () => randomBytes(32).toString('base64url'),
        unavailableDependency,
      })
    },
  }
}
