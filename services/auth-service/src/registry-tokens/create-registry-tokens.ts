import { randomBytes } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import { createServiceClient } from '@registry-manager/http'
import { createInstallation } from '../provider-api/installation.ts'
import { createRegistryContents } from '../provider-api/registry-contents.ts'
import { createRegistryTokensStore } from './manage-registry-tokens.ts'
import type { RevocationSnapshot } from '../access-tokens/revocation-list.ts'
import { createTokenUseLog } from './last-used.ts'
import type { AuthServiceConfig } from '../config.ts'
import { FRESH_MS, createRegistryTokenSignIn } from './registry-token-sign-in.ts'
import { createCredentialCache } from '../sign-in/credential-cache.ts'

export interface RegistryTokenDeps {
  readonly db: Database
  readonly now: () => number
  readonly revocations: RevocationSnapshot
  /** How long what was issued before a change could still be used. */
  readonly issuedLastsMs: number
  /** Hears what keeps the last uses from being written down. */
  readonly onError: (error: unknown) => void
}

/** Joins what registry tokens need: who they are, how they sign in, and what their API tells. */
export function createRegistryTokens(config: AuthServiceConfig, deps: RegistryTokenDeps) {
  const { db, now, revocations } = deps
  const { imageManagerUrl, serviceCredential, offlineGraceSeconds } = config
  const tokens = createRegistryTokensStore(db, now, deps.issuedLastsMs)
  const uses = createTokenUseLog(tokens.writeUses, now, deps.onError)
  // Lists take longer than what a sign-in waits for.
  const imageManager = createServiceClient({
    dependency: 'image-manager',
    url: imageManagerUrl,
    credential: serviceCredential,
    timeoutMs: 5000,
  })
  return {
    tokens,
    uses,
    signInMethod: createRegistryTokenSignIn({
      findToken: tokens.findForSignIn,
      isUnavailable: isDatabaseBusyOrUnavailable,
      isRevoked: revocations.isRevoked,
      memory: createCredentialCache({
        key: randomBytes(32),
        now,
        maxAgeMs: Math.max(offlineGraceSeconds * 1000, FRESH_MS),
        maxEntries: 50_000,
      }),
      noteUse: uses.note,
      now,
    }),
    routes: {
      tokens,
      contents: createRegistryContents(imageManager),
      findInstallation: createInstallation(db),
      hostname: config.issuer,
      now,
    },
  }
}
